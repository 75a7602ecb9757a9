import { isGrpcServiceError } from '@temporalio/client'
import type { NativeConnection } from '@temporalio/worker'
import { searchAttributes } from '../../workflows/searchAttributes.ts'
import { ServiceError } from '../errors.ts'

/** temporal.api.enums.v1.IndexedValueType */
const INDEXED_VALUE_TYPE_KEYWORD = 2
const ALREADY_EXISTS = 6
const CALL_MS = 10_000

/** Makes the search attributes known to the namespace; those that are there already are left alone. */
export async function registerSearchAttributes(
  connection: NativeConnection,
  namespace: string,
): Promise<void> {
  const { operatorService } = connection
  await connection.withDeadline(Date.now() + CALL_MS, async () => {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace })
    const missing = searchAttributes.filter(({ name }) => customAttributes[name] === undefined)
    if (missing.length === 0) return
    const wanted = Object.fromEntries(missing.map(({ name }) => [name, INDEXED_VALUE_TYPE_KEYWORD]))
    try {
      await operatorService.addSearchAttributes({ namespace, searchAttributes: wanted })
    } catch (error) {
      // Another worker was faster.
      if (isGrpcServiceError(error) && error.code === ALREADY_EXISTS) return
      throw new ServiceError('TEMPORAL_UNAVAILABLE', advice(Object.keys(wanted), namespace), { cause: error })
    }
  })
}

const advice = (names: readonly string[], namespace: string): string =>
  `search attributes are missing and cannot be created; create them with: temporal operator search-attribute create --namespace ${namespace} --type Keyword ${names.map((name) => `--name ${name}`).join(' ')}`
