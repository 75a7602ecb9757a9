/** The verifier in `go/`: built from libraries that nobody here wrote, and run on cases. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const source = join(import.meta.dirname, 'go')

/** A file with what is believed about it, or a producer's signature over a payload. */
export interface JudgedCase {
  readonly file?: Buffer
  readonly event?: Buffer
  readonly keys: readonly string[]
  readonly origin?: string
  readonly signature?: string
  readonly payload?: Buffer
}

export interface GoVerdict {
  readonly ok: boolean
  readonly what?: string
  readonly detail?: string
}

/** Why the verifier cannot be built here, for a person; null when it can. */
export function goMissing(): string | null {
  const run = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', cwd: '/' })
  if (run.error !== undefined || run.status !== 0) return 'there is no Go toolchain'
  const [, needed = ''] = /^go (\d+\.\d+)/m.exec(readFileSync(join(source, 'go.mod'), 'utf8')) ?? []
  const [, found = ''] = /^go(\d+\.\d+)/.exec(run.stdout) ?? []
  return isOlder(found, needed) ? `the Go toolchain is ${found}, and ${needed} is needed` : null
}

function isOlder(found: string, needed: string): boolean {
  const [major = 0, minor = 0] = found.split('.').map(Number)
  const [neededMajor = 0, neededMinor = 0] = needed.split('.').map(Number)
  return major < neededMajor || (major === neededMajor && minor < neededMinor)
}

/** Builds it into the folder; Go keeps what it compiled before. The versions are those of go.sum. */
export async function buildGoVerifier(folder: string): Promise<string> {
  const program = join(folder, 'evidence')
  const args = ['build', '-buildvcs=false', '-mod=readonly', '-o', program, '.']
  await promisify(execFile)('go', args, { cwd: source, timeout: 300_000 })
  return program
}

/** The verdicts on the cases, in their order. */
export function judgeWithGo(program: string, cases: readonly JudgedCase[]): Promise<GoVerdict[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
    const chunks: Buffer[] = []
    child.on('error', reject)
    child.stdin.on('error', reject)
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('close', (code) => {
      const lines = Buffer.concat(chunks).toString('utf8').trimEnd().split('\n')
      if (code !== 0 || lines.length !== cases.length)
        reject(new Error(`the Go verifier ended with ${code} after ${lines.length} verdicts`))
      else resolve(lines.map((line) => JSON.parse(line) as GoVerdict))
    })
    child.stdin.end(cases.map((each) => `${JSON.stringify(encode(each))}\n`).join(''))
  })
}

const encode = ({ file, event, payload, ...rest }: JudgedCase) => ({
  ...rest,
  ...(file !== undefined && { file: file.toString('base64') }),
  ...(event !== undefined && { event: event.toString('base64') }),
  ...(payload !== undefined && { payload: payload.toString('base64') }),
})
