import { expect, test } from 'vitest'
import { ServiceError } from '../../src/errors.ts'
import { createLogger, type Logger } from '../../src/logger.ts'

function capture(): { logger: Logger; lines: () => Record<string, unknown>[]; text: () => string } {
  let text = ''
  const destination = {
    write: (chunk: string) => {
      text += chunk
    },
  }
  return {
    logger: createLogger({ level: 'info', fields: { role: 'test' }, destination }),
    text: () => text,
    lines: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  }
}

test('writes one JSON line with time, level, message and fields', () => {
  const { logger, lines } = capture()
  logger.child({ topic: 'events' }).info('appended', { offset: 5n, at: new Date(0), lag: new Map([[0, 1n]]) })
  expect(lines()).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      role: 'test',
      topic: 'events',
      offset: '5',
      at: '1970-01-01T00:00:00.000Z',
      lag: [[0, '1']],
      msg: 'appended',
    },
  ])
})

test('leaves out what is below its level', () => {
  const { logger, text } = capture()
  logger.debug('quiet')
  expect(text()).toBe('')
})

test('never writes secrets', () => {
  const { logger, text } = capture()
  logger.info('configured', {
    database: { url: 'postgres://app:hunter2@db/log' },
    sasl: { username: 'u', password: 'hunter2' },
    temporal: { apiKey: 'hunter2', tls: { key: 'hunter2', cert: 'public' } },
    headers: { Authorization: 'hunter2', cookie: 'hunter2' },
  })
  expect(text()).not.toContain('hunter2')
  expect(text()).toContain('postgres://app:[redacted]@db/log')
  expect(text()).toContain('public')
})

test('gives of an error its name, code and place, never its message, which may hold a whole record', () => {
  const { logger, lines, text } = capture()
  const kafka = Object.assign(new TypeError('Invalid message {"ssn":"123"}\n    at {"ssn":"123"}'), {
    code: 'ERR_X',
    type: 'INVALID',
  })
  logger.error('failed', { error: new Error('outer {"ssn":"123"}', { cause: kafka }) })
  expect(text()).not.toContain('ssn')
  expect(lines()[0]).toMatchObject({
    error: { name: 'Error', cause: { name: 'TypeError', code: 'ERR_X', type: 'INVALID' } },
  })
})

test('gives the message of a ServiceError, which is safe to show', () => {
  const { logger, lines } = capture()
  logger.warn('refused', { error: new ServiceError('RANGE_EMPTY', 'from 5 is not below to 5') })
  expect(lines()[0]).toMatchObject({ error: { code: 'RANGE_EMPTY', message: 'from 5 is not below to 5' } })
})

test('survives fields that refer to themselves', () => {
  const { logger, lines } = capture()
  const loop: Record<string, unknown> = {}
  loop['self'] = loop
  logger.info('loop', { loop })
  expect(lines()).toHaveLength(1)
})
