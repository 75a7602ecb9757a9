import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatProperties, randomClusterId } from '../../stack/kafka.ts'
import { javaMajor } from '../../stack/kafka-jars.ts'
import { countBrokers } from '../../stack/kafka-probe.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { testServers } from '../support/servers.ts'

describe('starting Kafka natively', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17],
    ['java version "1.8.0_392"', 8],
    ['openjdk version "21" 2023-09-19', 21],
    ['openjdk version "25-ea" 2025-09-16', 25],
    ['bash: java: command not found', null],
  ])('reads the version out of %j', (output, major) => {
    expect(javaMajor(output)).toBe(major)
  })

  it('writes properties that are plain ASCII and unambiguous, whatever the path holds', () => {
    const written = formatProperties({ 'log.dirs': '/home/Jörg/ü\\b c' })
    expect(written).toBe('log.dirs=/home/J\\u00f6rg/\\u00fc\\\\b c\n')
    fc.assert(fc.property(fc.string(), (text) => /^a=[ -~]*\n$/.test(formatProperties({ a: text }))))
  })

  it('names clusters so that Kafka takes no name for an option', () => {
    for (let draw = 0; draw < 1_000; draw++) expect(randomClusterId()).toMatch(/^\w[\w-]{21}$/)
  })
})

describe('asking a broker', () => {
  it('counts the brokers of a cluster that is up', async () => {
    const [address = ''] = testServers().kafkaBrokers.split(',')
    const { hostname, port } = new URL(`tcp://${address}`)
    expect(await countBrokers(hostname, Number(port))).toBeGreaterThan(0)
  })

  it('says so when nobody listens', async () => {
    const [port = 0] = await lastingPorts(1)
    await expect(countBrokers('127.0.0.1', port)).rejects.toThrow(/ECONNREFUSED/)
  })
})

describe("Kafka's own tools", () => {
  it('run from the class path that tests are given, where Java exists', ({ skip }) => {
    const { kafkaClasspath } = testServers()
    if (kafkaClasspath === null) return skip('no Java')
    const args = ['-cp', kafkaClasspath, 'org.apache.kafka.tools.TopicCommand', '--version']
    expect(execFileSync('java', args, { encoding: 'utf8' })).toMatch(/^4\.1\.1/)
  })
})
