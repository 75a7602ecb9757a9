/** The marks of JSON that each make a value: what parsing a text takes in memory is bounded by them, not by its length. */
const MARKS = ['{', '[', ','] as const

/** Whether one of them stands in the text more than `limit` times, those within strings included. */
export function hasMoreMarks(text: string, limit: number): boolean {
  if (text.length <= limit) return false
  return MARKS.some((mark) => {
    let count = 0
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1))
      if (++count > limit) return true
    return false
  })
}
