/** The value of an option. Throws TypeError that names it. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most))
    throw new TypeError(`${name} must be a whole number from ${least} to ${most}`)
  return value
}
