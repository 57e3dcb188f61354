import { join, relative } from 'node:path'
import ts from 'typescript'

/** That a name is not used any more proves nothing. */
const UNUSED = new Set([6133, 6192, 6196])

/** The compiler, kept in memory: after a change only what changed is parsed again. */
export type Compiler = {
  /**
   * Every error of the tree as it is on disk now, one by one; a file is checked when its errors are asked for.
   *
   * @param first files whose path begins like this come first; of the others those are checked that the change can affect
   */
  errors(first?: string): Generator<string>
}

/** Sets up the compiler for the sources under `root`, leaving out the tests: what drifts has to fail in the code itself. */
export function createCompiler(root: string): Compiler {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const readTree = () => ts.parseJsonConfigFileContent(config, ts.sys, root)
  const { options } = readTree()
  const host = ts.createIncrementalCompilerHost(options)
  const parse = host.getSourceFile.bind(host)
  const parsed = new Map<string, { text: string; file: ts.SourceFile }>()
  const isOurs = (name: string) => name.startsWith(`${root}/`) && !name.startsWith(`${root}/node_modules/`)
  host.getSourceFile = (name, ...rest) => {
    const known = parsed.get(name)
    if (known && !isOurs(name)) return known.file
    const text = ts.sys.readFile(name)
    if (known && text === known.text) return known.file
    const file = parse(name, ...rest)
    if (file && text !== undefined) parsed.set(name, { text, file })
    return file
  }

  let unbroken: ts.SemanticDiagnosticsBuilderProgram | undefined
  return {
    *errors(first) {
      const rootNames = readTree().fileNames.filter((name) => isSource(relative(root, name)))
      const builder = ts.createSemanticDiagnosticsBuilderProgram(rootNames, options, host, unbroken)
      unbroken ??= builder
      const program = builder.getProgram()
      const [unreadable] = program.getSyntacticDiagnostics()
      if (unreadable) throw new Error(`does not parse: ${describe(root, unreadable)}`)
      const isFirst = (name: string) => first !== undefined && relative(root, name).startsWith(first)
      for (const file of program.getSourceFiles().filter(({ fileName }) => isFirst(fileName))) {
        yield* describeAll(root, program.getSemanticDiagnostics(file))
      }
      yield* describeAll(root, builder.getSemanticDiagnostics())
    },
  }
}

const isSource = (file: string): boolean => /^(src|generated)\/.*\.ts$/.test(file) && !/[.-]test\.ts$/.test(file)

const describeAll = (root: string, diagnostics: readonly ts.Diagnostic[]): string[] =>
  diagnostics.filter(({ code }) => !UNUSED.has(code)).map((each) => describe(root, each))

function describe(root: string, { file, start = 0, messageText }: ts.Diagnostic): string {
  // Of a chain of reasons the last one is the reason.
  const message = ts.flattenDiagnosticMessageText(messageText, '\n').split('\n').at(-1)?.trim() ?? ''
  if (!file) return message
  const { line } = file.getLineAndCharacterOfPosition(start)
  return `${relative(root, file.fileName)}:${line + 1} ${message}`
}
