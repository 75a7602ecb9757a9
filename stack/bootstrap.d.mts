export type Command =
  | { readonly kind: 'install' }
  | { readonly kind: 'run'; readonly entry: string; readonly args: readonly string[] }
  | { readonly kind: 'usage'; readonly message: string }

export function readCommand(argv: readonly string[]): Command
export function installKey(directory: string): string
export function needsInstall(directory: string): boolean
