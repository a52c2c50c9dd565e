/** What one TypeScript file imports, exports wholesale and uses of the global scope, by the compiler's own parser. */

import ts from "typescript";

export interface Use {
  readonly line: number;
  readonly name: string;
}

export interface Import extends Use {
  /** Nothing of it is left when the file is compiled. */
  readonly typeOnly: boolean;
}

export interface ModuleFacts {
  /** Module specifiers of imports, re-exports, `import()`, `new URL("./x.js", import.meta.url)`. */
  readonly imports: readonly Import[];
  /** `export * from`. */
  readonly wholesaleExports: readonly Use[];
  /**
   * Names used as values or types that the file does not declare. A name declared anywhere in the file counts as
   * declared everywhere in it.
   */
  readonly globals: readonly Use[];
  /** `a.b` where `a` is not declared in the file. */
  readonly members: readonly Use[];
  /** `b` of every `x.b(…)`. */
  readonly methods: readonly Use[];
  /** `new Date()` and `Date()` without arguments, `async` and `await`. */
  readonly impurities: readonly Use[];
}

interface Collected {
  imports: Import[];
  wholesaleExports: Use[];
  globals: Use[];
  members: Use[];
  methods: Use[];
  impurities: Use[];
}

export function readModule(path: string, text: string): ModuleFacts {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const declared = new Set<string>();
  collectDeclared(source, declared);
  const facts: Collected = { imports: [], wholesaleExports: [], globals: [], members: [], methods: [], impurities: [] };
  const use = (node: ts.Node, name: string): Use => ({
    line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1,
    name,
  });
  visit(source);
  return facts;

  function visit(node: ts.Node): void {
    collectImports(node);
    collectUses(node);
    ts.forEachChild(node, visit);
  }

  function collectImports(node: ts.Node): void {
    const specifier = moduleSpecifier(node);
    if (specifier !== undefined) facts.imports.push({ ...use(node, specifier), typeOnly: isTypeOnly(node) });
    if (ts.isExportDeclaration(node) && node.exportClause === undefined) {
      facts.wholesaleExports.push(use(node, specifier ?? ""));
    }
  }

  function collectUses(node: ts.Node): void {
    if (ts.isIdentifier(node) && isReference(node) && !declared.has(node.text)) {
      facts.globals.push(use(node, node.text));
    }
    if (ts.isPropertyAccessExpression(node)) {
      if (ts.isIdentifier(node.expression) && !declared.has(node.expression.text)) {
        facts.members.push(use(node, `${node.expression.text}.${node.name.text}`));
      }
      facts.methods.push(use(node.name, node.name.text));
    }
    if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && isBareDate(node)) {
      facts.impurities.push(use(node, "the current date"));
    }
    if (node.kind === ts.SyntaxKind.AsyncKeyword) facts.impurities.push(use(node, "async"));
    if (ts.isAwaitExpression(node)) facts.impurities.push(use(node, "await"));
  }
}

function moduleSpecifier(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return literalText(node.moduleSpecifier);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return literalText(node.argument.literal);
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return literalText(node.arguments[0]);
  }
  // Workers are started this way; the path is an import like any other.
  if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === "URL") {
    const [path, base] = node.arguments ?? [];
    const file = base?.getText() === "import.meta.url" ? literalText(path) : undefined;
    if (file?.endsWith(".js")) return file.startsWith(".") ? file : `./${file}`;
  }
  return undefined;
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  if (!ts.isImportDeclaration(node) || node.importClause === undefined) return false;
  const { name, namedBindings, phaseModifier } = node.importClause;
  if (phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const isNamed = namedBindings !== undefined && ts.isNamedImports(namedBindings);
  return name === undefined && isNamed && namedBindings.elements.every((element) => element.isTypeOnly);
}

function literalText(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;
}

function isBareDate(node: ts.NewExpression | ts.CallExpression): boolean {
  const isDate = ts.isIdentifier(node.expression) && node.expression.text === "Date";
  return isDate && (ts.isCallExpression(node) || (node.arguments ?? []).length === 0);
}

function collectDeclared(node: ts.Node, declared: Set<string>): void {
  const hasName =
    ts.isVariableDeclaration(node) ||
    ts.isParameter(node) ||
    ts.isBindingElement(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isTypeParameterDeclaration(node) ||
    ts.isImportClause(node) ||
    ts.isImportSpecifier(node) ||
    ts.isNamespaceImport(node);
  if (hasName && node.name !== undefined && ts.isIdentifier(node.name)) declared.add(node.name.text);
  ts.forEachChild(node, (child) => collectDeclared(child, declared));
}

/** False where an identifier is only the name of a property, a label or a declaration. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isQualifiedName(parent)) return parent.left === node;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  const named = parent as { readonly name?: ts.Node; readonly propertyName?: ts.Node; readonly label?: ts.Node };
  return named.name !== node && named.propertyName !== node && named.label !== node;
}
