/**
 * What the parts of the fault campaign promise each other. A scenario runs real roles against real servers, does its
 * worst for a number of rounds, and hands over what a judge found that shares nothing with the client under test.
 */
import type { Random } from '../source/random.ts'

// ───────────────────────────── scenarios ─────────────────────────────

export interface Scenario {
  /** For `--only`, lower case with dashes; begins with its group: `ingest-kill-random`. */
  readonly name: string
  readonly group: 'ingest' | 'replay' | 'cluster' | 'limits' | 'checker'
  /** One line for people: what is done to it. */
  readonly title: string
  /** In a full campaign, and in the short one that CI runs (0: not part of it). */
  readonly rounds: { readonly full: number; readonly short: number }
  /** Longest that so many rounds may take, ms; `defaultLimitMs` of campaign.ts when left out. */
  readonly limitMs?: (rounds: number) => number
  /** Longest recovery that is no surprise, ms; `defaultRecoveryBarMs` when left out, null: any is none. */
  readonly recoveryBarMs?: number | null
  run(context: ScenarioContext): Promise<Outcome>
}

export interface ScenarioContext {
  readonly bed: Bed
  readonly rounds: number
  /** Whether this is the short campaign: smaller inputs. */
  readonly short: boolean
  /** Every choice of the scenario comes from here, so that a seed names a campaign. */
  readonly random: Random
  /** Progress for people; the last line may be overwritten. */
  readonly say: (text: string) => void
  /** Aborts when the campaign is asked to stop, and when the scenario's time is up. */
  readonly signal: AbortSignal
  /** Kafka's own Java consumer, for judges. */
  readonly reader: import('../judge/reader.ts').TopicReader
}

/** What became of the records. All zero, or the promise is broken. */
export interface Damage {
  readonly lost: number
  readonly doubled: number
  readonly reordered: number
  readonly altered: number
}

export interface Outcome {
  /** Rounds that were done. */
  readonly rounds: number
  readonly faults: number
  /** Records that were judged. */
  readonly events: number
  readonly damage: Damage
  /** From the fault until events moved again, the longest of all rounds, ms; null where nothing had to recover. */
  readonly longestRecoveryMs: number | null
  /** Anything else that did not hold, in words; empty when all did. */
  readonly problems: readonly string[]
  /** Figures and findings for the report. */
  readonly notes: readonly string[]
  /** Why it could not run on this machine (nothing else counts then). */
  readonly skipped?: string
}

// ───────────────────────────── servers ─────────────────────────────

/** The servers of a campaign, in a folder of their own, started on first use and kept from scenario to scenario. */
export interface Bed {
  /** One node. */
  kafka(): Promise<KafkaBed>
  /** Three nodes: replication factor 3, min.insync.replicas 2. */
  cluster(): Promise<KafkaBed>
  postgres(): Promise<PostgresBed>
  temporal(): Promise<TemporalBed>
  /** Where logs of roles and servers go. */
  readonly logs: string
  /** Ends every server by its process id; their data goes, the logs stay. */
  close(): Promise<void>
}

/** One server process that can be treated badly. It keeps its ports and data over everything. */
export interface ServerProcess {
  readonly pid: number
  readonly isRunning: boolean
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** In order. */
  stop(): Promise<void>
  /**
   * Starts what does not run; resolves when it serves. A node of a cluster serves when most of the nodes run: start
   * them together when all are down. @throws with the end of its log
   */
  start(): Promise<void>
  /** SIGSTOP and SIGCONT, of its children too. */
  freeze(): void
  thaw(): void
}

export interface KafkaBed {
  readonly nodes: readonly (ServerProcess & {
    readonly id: number
    /** Everything that uses `brokersThroughPassages` crosses this one on its way to the node. */
    readonly passage: Passage
  })[]
  /** Addresses of all nodes, directly: for load and judges. */
  readonly brokers: string
  /** Addresses of all nodes through their passages (a second listener advertises them): for the roles under test. */
  readonly brokersThroughPassages: string
  /** `java -cp` of Kafka's own programs. */
  readonly classpath: string
}

export interface PostgresBed extends ServerProcess {
  /** SIGQUIT to the postmaster: PostgreSQL's immediate shutdown, as after a power cut. */
  crash(): Promise<void>
  /** The owner, at database `postgres`, directly. */
  readonly adminUrl: string
  /** The application's role, directly; replace the database with `withDatabase`. */
  readonly appUrl: string
  /** The application's role through the passage. */
  readonly appUrlThroughPassage: string
  readonly passage: Passage
}

export interface TemporalBed extends ServerProcess {
  readonly address: string
  readonly addressThroughPassage: string
  readonly passage: Passage
}

// ───────────────────────────── passages ─────────────────────────────

/**
 * A TCP proxy in this process that can be made slow, deaf or broken, and that understands the framing of what it
 * carries. Plain forwarding until told otherwise.
 */
export interface Passage {
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly port: number
  /** Cuts every connection (RST), and whoever connects again as soon as he does, until `open`. */
  shut(): void
  open(): void
  /** Cuts every connection (RST); new ones are taken. */
  cut(): void
  /**
   * Half-open: nothing is forwarded in either direction and nothing is closed, for connections of now and later; what
   * arrives meanwhile is read and thrown away, so that a connection that lived through it can only be given up.
   */
  deafen(): void
  /** As `deafen`, for the connections of now alone, as when a router forgets them: new ones are forwarded. */
  silence(): void
  /** Each chunk is forwarded this much later, plus up to `jitterMs` more, in order. */
  delay(latencyMs: number, jitterMs: number): void
  /** Each direction of each connection carries at most this much. */
  throttle(bytesPerSecond: number): void
  /** Looks at every frame; `null` takes it off. Frames are looked at in order, before they are forwarded. */
  tap(tap: Tap | null): void
  /** No fault, no tap; connections that were deafened or held are cut. Late deliveries still happen. */
  reset(): void
  /** Bytes forwarded so far, both directions. */
  readonly forwarded: number
  /** Open connections, those that were deafened included. */
  readonly connections: number
  close(): Promise<void>
}

export interface Tap {
  /** From the role to the server. Synchronous: a process that is killed in here never sees what comes after. */
  request?(frame: Frame): Verdict
  /** From the server to the role. */
  answer?(frame: Frame): Verdict
}

/** A whole request, answer or message. */
export type Frame = KafkaFrame | PostgresFrame

export interface KafkaFrame {
  readonly protocol: 'kafka'
  /** Of the request; an answer carries those of the request that it answers. */
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string
  /** The whole frame, its length first. */
  readonly bytes: Buffer
}

export interface PostgresFrame {
  readonly protocol: 'postgres'
  /** The message's type as one character: Q, P, B, E, S, d, c… and C, G, Z, E…; empty for the startup message. */
  readonly type: string
  /** SQL of Q and P, tag of CommandComplete; empty otherwise. */
  readonly text: string
  readonly bytes: Buffer
}

export type Verdict =
  | 'pass'
  /** Never forwarded. */
  | 'drop'
  /** Not forwarded, and the connection is cut on both sides. */
  | 'cut'
  | Late
  /** This frame and all behind it in its direction wait; a promise that is rejected cuts the connection. */
  | { readonly hold: Promise<void> }

/**
 * The role's connection is cut at once (its outcome is unknown now), the server's stays open and gets the request after
 * `lateMs`, whatever the role has done since; nobody but `onAnswer` sees the answer. Of an answer it is the same as `cut`.
 */
export interface Late {
  readonly lateMs: number
  /** Not before this has come either. */
  readonly behind?: Promise<void>
  readonly onAnswer?: (answer: Frame) => void
}

/** Kafka's request keys (https://kafka.apache.org/protocol.html#protocol_api_keys) that scenarios look for. */
export const api = {
  produce: 0,
  fetch: 1,
  metadata: 3,
  offsetCommit: 8,
  offsetFetch: 9,
  findCoordinator: 10,
  joinGroup: 11,
  heartbeat: 12,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  addOffsetsToTxn: 25,
  endTxn: 26,
  txnOffsetCommit: 28,
} as const

// ───────────────────────────── load ─────────────────────────────

/** What one round of load, or all of it, has put on the source topic: the score that judges hold everything against. */
export interface Score {
  readonly topic: string
  readonly partitions: number
  /** By partition: every record with its place, its digests, and whether it must be accepted. */
  readonly tables: readonly import('../judge/table.ts').RecordTable[]
  /** By partition: the offset behind the last record, where a log that has taken everything goes on. */
  readonly ends: readonly number[]
  /** Records that Kafka has acknowledged. */
  readonly produced: number
  readonly accepted: number
}
