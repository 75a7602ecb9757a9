import { kafka } from './kafka.ts'
import type { NativeServer } from './native.ts'
import { postgres } from './postgres.ts'
import type { ServerName } from './state.ts'
import { temporal } from './temporal.ts'

export const natives: Readonly<Record<ServerName, NativeServer>> = { kafka, postgres, temporal }
