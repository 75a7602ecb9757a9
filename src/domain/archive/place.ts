/** Where archives are put, as it is configured: `file:///folder`, or `s3://bucket/prefix?endpoint=…` as for notes. */
import { type ParsedPlace, parseS3Place, placeProblem, type S3Place } from '../s3Place.ts'

export type ArchivePlaceConfig =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 's3'; readonly place: S3Place }

/** A whole path will do for a folder. */
export function parseArchivePlace(text: string): ParsedPlace<ArchivePlaceConfig> {
  if (text.startsWith('s3:')) {
    const place = parseS3Place(text)
    return place.ok ? { ok: true, value: { kind: 's3', place: place.value } } : place
  }
  const path = text.startsWith('/') ? text : folderOf(text)
  if (path === null || path.includes('\0') || /^\/*$/.test(path))
    return placeProblem('must look like file:///folder or s3://bucket/prefix')
  return { ok: true, value: { kind: 'folder', path: path.replace(/\/+$/, '') } }
}

function folderOf(text: string): string | null {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 'file:' || url.host !== '' || url.search !== '' || url.hash !== '')
    return null
  try {
    return decodeURIComponent(url.pathname)
  } catch {
    return null
  }
}

/** For people; holds no credentials, since none may be in it. */
export const nameOfPlace = (config: ArchivePlaceConfig): string =>
  config.kind === 'folder'
    ? config.path
    : `s3://${config.place.bucket}/${config.place.prefix}`.replace(/\/$/, '')
