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

/** Stands for the endpoint where none is configured: AWS's own. */
const AWS = 'aws'

/**
 * What tells it from every other place, as it is written down with an archive: the server too, since two servers may have buckets
 * of one name. Holds no credentials, since none may be in it.
 */
export const addressOfPlace = (config: ArchivePlaceConfig): string =>
  config.kind === 'folder' ? config.path : `${nameOfPlace(config)}?endpoint=${config.place.endpoint ?? AWS}`

/** For people: the name of the place that has the address. */
export const nameInAddress = (address: string): string =>
  address.startsWith('s3://') ? address.replace(/\?.*$/, '') : address

/** Whether an archive's parts belong to the place with this address. Of older archives only its name was written down. */
export const isPlaceOf = (recorded: string, address: string): boolean =>
  recorded === address || (nameInAddress(recorded) === recorded && recorded === nameInAddress(address))
