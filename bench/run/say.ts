/** Progress for people: lines with the time since the start, and on a terminal one line that is redrawn. */
export interface Say {
  line(text: string): void
  /** How far something is; on a terminal redrawn in place, else a line every few seconds. */
  progress(text: string): void
}

const quietMs = 5_000

export function createSay(stream: NodeJS.WriteStream): Say {
  const started = performance.now()
  const live = stream.isTTY === true
  let drawn = false
  let saidAt = started
  const stamp = (): string => `[${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s]`
  const settle = (): void => {
    if (drawn) stream.write('\r\u001b[K')
    drawn = false
  }
  return {
    line(text) {
      settle()
      saidAt = performance.now()
      stream.write(`${stamp()} ${text}\n`)
    },
    progress(text) {
      const now = performance.now()
      if (!live && now - saidAt < quietMs) return
      saidAt = now
      stream.write(live ? `\r\u001b[K${stamp()} ${text}` : `${stamp()} ${text}\n`)
      drawn = live
    },
  }
}

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
export const formatCount = (value: number): string => grouped.format(value)
export const formatRate = (perSecond: number): string => `${grouped.format(perSecond)} events/s`
export const formatSeconds = (seconds: number): string => `${seconds.toFixed(1)} s`
