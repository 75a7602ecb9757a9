import { type ArchivePlaceConfig, parseArchivePlace } from '../domain/archive/place.ts'
import { type NotePlaceConfig, parseNotePlaces } from '../domain/evidence/notePlace.ts'
import { contentOf } from './signing.ts'
import type { Variables } from './variables.ts'

export interface PlacesConfig {
  /** Where notes of checkpoints are sent. */
  readonly notes: readonly NotePlaceConfig[]
  /** Where archives are put; null: nowhere. */
  readonly archives: ArchivePlaceConfig | null
  /** For every bucket; null: those that the machine has by itself. */
  readonly s3Credentials: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  } | null
}

/** Reads the places outside the database; what is wrong goes into `problems`, without any part of it. */
export function readPlaces(
  values: Partial<Variables>,
  readFile: (path: string) => string,
  problems: string[],
): PlacesConfig {
  const { places, problems: wrong } = parseNotePlaces(values.NOTE_PLACES ?? '')
  problems.push(...wrong.map((problem) => `NOTE_PLACES ${problem}`))
  return {
    notes: places,
    archives: readArchivePlace(values, problems),
    s3Credentials: readS3Credentials(values, readFile, problems),
  }
}

function readArchivePlace(values: Partial<Variables>, problems: string[]): ArchivePlaceConfig | null {
  if (values.ARCHIVE_PLACE === undefined) return null
  const place = parseArchivePlace(values.ARCHIVE_PLACE)
  if (place.ok) return place.value
  problems.push(`ARCHIVE_PLACE ${place.problem}`)
  return null
}

/** The same as for NOTE_PLACES, for whoever else uses a bucket. */
export function readS3Credentials(
  values: Partial<Variables>,
  readFile: (path: string) => string,
  problems: string[],
): PlacesConfig['s3Credentials'] {
  const path = values.S3_SECRET_ACCESS_KEY_FILE
  if (values.S3_SECRET_ACCESS_KEY !== undefined && path !== undefined) {
    problems.push('S3_SECRET_ACCESS_KEY and S3_SECRET_ACCESS_KEY_FILE must not both be given')
    return null
  }
  const secret =
    path === undefined
      ? values.S3_SECRET_ACCESS_KEY
      : contentOf(path, 'S3_SECRET_ACCESS_KEY_FILE', readFile, problems)?.trim()
  const accessKeyId = values.S3_ACCESS_KEY_ID
  const isGiven = values.S3_SECRET_ACCESS_KEY !== undefined || path !== undefined
  if ((accessKeyId === undefined) !== !isGiven)
    problems.push('S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY or its file must be given together')
  if (accessKeyId === undefined || secret === undefined) return null
  const sessionToken = values.S3_SESSION_TOKEN
  return {
    accessKeyId,
    secretAccessKey: secret,
    ...(sessionToken !== undefined && { sessionToken }),
  }
}
