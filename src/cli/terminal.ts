/** Where a command writes. With `json`, stdout gets the final object only and progress goes to stderr. */
export interface Terminal {
  readonly json: boolean
  readonly color: boolean
  /** Progress can be redrawn in place. */
  readonly live: boolean
  readonly columns: () => number
  /** A line for people: stdout, or stderr with `json`. */
  readonly line: (text: string) => void
  /** What a command was asked for, as it is, on stdout; nothing with `json`. */
  readonly content: (text: string) => void
  /** Redraws the progress line; only when `live`. */
  readonly redraw: (text: string) => void
  /** Ends a redrawn line, if there is one. */
  readonly settle: () => void
  /** The one object on stdout; nothing without `json`. */
  readonly result: (value: unknown) => void
  /** One line on stderr. */
  readonly complain: (text: string) => void
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

export function createTerminal(
  { stdout, stderr }: Streams,
  { json, color }: { readonly json: boolean; readonly color: boolean },
): Terminal {
  let drawn = false
  const settle = () => {
    if (drawn) stdout.write('\n')
    drawn = false
  }
  return {
    json,
    color: color && stdout.isTTY === true,
    live: stdout.isTTY === true && !json,
    // A terminal that does not know its width says 0.
    columns: () => stdout.columns || 80,
    line: (text) => {
      settle()
      const stream = json ? stderr : stdout
      stream.write(`${oneLine(text)}\n`)
    },
    content: (text) => {
      if (!json) stdout.write(text)
    },
    redraw: (text) => {
      stdout.write(`\r\u001b[K${text}`)
      drawn = true
    },
    settle,
    result: (value) => {
      if (json) stdout.write(`${JSON.stringify(value)}\n`)
    },
    complain: (text) => {
      settle()
      stderr.write(`${oneLine(text)}\n`)
    },
  }
}

/** What a server says must not be able to draw on the terminal. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
