/** Ways to damage a file, none of them at random. */

const inserted = ['\n', ' ', '0', 'A', '=', '"', '\\', '\r', '/', '+'].map((text) => Buffer.from(text))

/** Every byte with one bit turned, left out, and with another byte before it. */
export function* bytesDamaged(file: Buffer): Generator<Buffer> {
  for (let at = 0; at < file.length; at++) {
    const turned = Buffer.from(file)
    turned[at] = (turned[at] as number) ^ (1 << (at % 8))
    yield turned
    yield Buffer.concat([file.subarray(0, at), file.subarray(at + 1)])
    const more = inserted[at % inserted.length] as Buffer
    yield Buffer.concat([file.subarray(0, at), more, file.subarray(at)])
  }
}

/** Every line left out, twice, exchanged with the next one, and everything cut off behind it. */
export function* linesDamaged(file: Buffer): Generator<Buffer> {
  const lines = file.toString('latin1').split('\n')
  const join = (parts: readonly (string | undefined)[]) =>
    Buffer.from(parts.filter((part) => part !== undefined).join('\n'), 'latin1')
  for (let at = 0; at < lines.length; at++) {
    yield join([...lines.slice(0, at), ...lines.slice(at + 1)])
    yield join([...lines.slice(0, at + 1), ...lines.slice(at)])
    yield join([...lines.slice(0, at), lines[at + 1], lines[at], ...lines.slice(at + 2)])
    yield join(lines.slice(0, at + 1))
  }
}
