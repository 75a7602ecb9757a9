import { closeSync, existsSync, mkdirSync, openSync, rmdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../stack/command.ts'
import { directoryKey } from '../../stack/paths.ts'

const fillSizes = [1 << 20, 1 << 16, 1 << 12] as const

/** A file system of a few megabytes in memory that can be filled to the last page. */
export class SmallDisk {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /**
   * Mounts it for the user of a process. `key` tells it from the disks of other campaigns; what a killed one has left
   * mounted is taken away. Returns why not, where it is refused.
   */
  static async mount(key: string, megabytes: number, pid: number): Promise<SmallDisk | string> {
    if (process.platform !== 'linux') return 'mounting a tmpfs needs Linux'
    const path = join(tmpdir(), `streaming-ingest-disk-${directoryKey(key)}`)
    if (existsSync(path)) await runCommand('umount', [path])
    mkdirSync(path, { recursive: true })
    const { uid, gid } = statSync(`/proc/${pid}`)
    const options = `size=${megabytes}m,mode=700,uid=${uid},gid=${gid}`
    const { ok, output } = await runCommand('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path])
    if (ok) return new SmallDisk(path)
    rmdirSync(path)
    return `mounting a tmpfs is refused (${output.trim().split('\n', 1)[0]})`
  }

  /** Returns how many bytes were left. */
  fill(): number {
    const file = openSync(this.#filler, 'a')
    let written = 0
    try {
      for (const size of fillSizes) written += writeUntilFull(file, Buffer.alloc(size))
    } finally {
      closeSync(file)
    }
    return written
  }

  empty(): void {
    rmSync(this.#filler, { force: true })
  }

  async unmount(): Promise<void> {
    const { ok, output } = await runCommand('umount', [this.path])
    if (!ok) throw new Error(`the small disk cannot be unmounted: ${output.trim()}`)
    rmdirSync(this.path)
  }

  get #filler(): string {
    return join(this.path, 'filler')
  }
}

function writeUntilFull(file: number, bytes: Buffer): number {
  for (let written = 0; ; ) {
    try {
      const count = writeSync(file, bytes)
      written += count
      if (count < bytes.length) return written
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return written
      throw error
    }
  }
}
