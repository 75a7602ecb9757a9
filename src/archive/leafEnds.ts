/** Source offsets that a leaf takes. */
import type { LeafContent } from '../domain/evidence/exportedRecord.ts'

/** First offset behind a leaf. */
export function endOf(content: LeafContent): bigint {
  switch (content.kind) {
    case 'record':
      return content.offset + 1n
    case 'gap':
      return content.to
    case 'batch':
      return content.lastOffset + 1n
    default:
      return content satisfies never
  }
}

export function startOf(content: LeafContent): bigint {
  switch (content.kind) {
    case 'record':
      return content.offset
    case 'gap':
      return content.from
    case 'batch':
      return content.firstOffset
    default:
      return content satisfies never
  }
}
