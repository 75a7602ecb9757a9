import { workflowInfo } from '@temporalio/workflow'

/** Who asked: the memo `requestedBy`, which the API sets; `temporal` for those who start the workflow themselves. */
export function requestedBy(): string {
  const name: unknown = workflowInfo().memo?.['requestedBy']
  return typeof name === 'string' && name !== '' ? name.slice(0, 200) : 'temporal'
}
