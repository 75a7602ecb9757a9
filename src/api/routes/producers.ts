import type { Express } from 'express'
import { z } from 'zod'
import {
  type ProducerKeyRequest,
  parseProducerKeyRequest,
  parseSignaturePolicyRequest,
  type SignaturePolicyRequest,
} from '../../domain/producerRequests.ts'
import type { ProducerView } from '../../domain/producerView.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import { cursorField, limitField, readQuery, refuseQuery, textField } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

const producersQuery = z.strictObject({
  source: textField.optional(),
  limit: limitField,
  cursor: cursorField.optional(),
}) as z.ZodType<{ source?: string; cursor?: string; limit: number }>

export function addProducerRoutes(app: Express, { operations, queries }: ApiDependencies): void {
  app
    .route('/producer-keys')
    .all(routed('/producer-keys'))
    .get(async (req, res) => {
      const query = readQuery(producersQuery, req)
      res.json(await within(readTimeoutMs, () => operations.listProducers(query)))
    })
    .post(handleAction(queries, putKeyAction(operations)))
    .all(otherMethods(['GET', 'POST'], methodNotAllowed))

  app
    .route('/signature-policies')
    .all(routed('/signature-policies'))
    .post(handleAction(queries, putPolicyAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))
}

function putKeyAction(operations: ApiDependencies['operations']): Action<ProducerKeyRequest, ProducerView> {
  return {
    name: 'producer.put-key',
    parse: (body, req) => {
      refuseQuery(req)
      return parseProducerKeyRequest(body)
    },
    target: ({ source }) => source,
    record: ({ key, ...request }) => ({ ...request, key: key.text }),
    check: () => Promise.resolve(),
    run: (request, requestedBy) => operations.putProducerKey(request, requestedBy),
    answer: (producer, res) => {
      res.status(201).json(producer)
    },
  }
}

function putPolicyAction(
  operations: ApiDependencies['operations'],
): Action<SignaturePolicyRequest, ProducerView> {
  return {
    name: 'producer.put-policy',
    parse: (body, req) => {
      refuseQuery(req)
      return parseSignaturePolicyRequest(body)
    },
    target: ({ source }) => source,
    record: (request) => request,
    check: (request) => operations.checkSignaturePolicy(request),
    run: (request, requestedBy) => operations.putSignaturePolicy(request, requestedBy),
    answer: (producer, res) => {
      res.status(201).json(producer)
    },
  }
}
