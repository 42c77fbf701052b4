import { QueueError } from '../../kernel/index.ts'

/**
 * Loads a package that is an optional peer.
 *
 * @param load imports the package. The caller contains the import, so that bundlers see it
 * @param who names the part that needs the package, such as `The plugin "otel"`
 * @param install what to install, separated by spaces
 * @throws QueueError `PACKAGE_MISSING`. The message says what to run
 */
export async function loadPackage<T>(load: () => Promise<T>, who: string, install: string): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const names = install.split(' ')
    const what =
      names.length === 1 ? `the package "${install}"` : `the packages ${names.map((name) => `"${name}"`).join(' and ')}`
    throw new QueueError('PACKAGE_MISSING', `${who} needs ${what}. Run: npm install ${install}`, { cause })
  }
}
