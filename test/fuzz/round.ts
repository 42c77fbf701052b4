import { FORMS } from './forms.ts'

/** An input that has not been dealt with after so many milliseconds hangs. */
const HANG = 30_000

/** Throws some inputs of a form at something that is made for them. What they show to be wrong names the seed. */
export async function fuzzRound(form: string, seed: number, steps: number, until = Infinity): Promise<number> {
  const fuzzed = await FORMS[form]!(seed)
  let step = 0
  let timer: NodeJS.Timeout | undefined
  try {
    for (; step < steps && Date.now() < until; step++) {
      const late = Promise.withResolvers<never>()
      timer = setTimeout(() => late.reject(new Error(`It hangs: nothing came of it for ${HANG} ms.`)), HANG)
      await Promise.race([fuzzed.step(), late.promise])
      clearTimeout(timer)
    }
  } catch (cause) {
    throw new Error(`npm run fuzz -- ${form} --seed ${seed}: input ${step + 1}. ${String(cause)}`, { cause })
  } finally {
    clearTimeout(timer)
    await fuzzed.close()
  }
  return step
}
