import { FORMS } from './forms.ts'

/** The time limit for one input, in milliseconds. After that, it counts as hanging. */
const HANG = 30_000

/** Sends mutated inputs of a form to a new target. The errors name the seed. */
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
