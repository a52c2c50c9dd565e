/**
 * Ranges of keys, each with a set of owners, and the question which ranges contain a key. Looking up costs the
 * logarithm of the number of distinct ranges, and the ranges found, for as long as ranges do not overlap wildly.
 *
 * It is a treap ordered by (lo, hi) in which each node knows the greatest `hi` below it. Priorities come from a fixed
 * sequence: they have to be independent of the keys, not secret, and the same calls give the same tree.
 */

/** Exclusive upper end of a range; undefined = no upper end. */
export type RangeEnd = string | undefined;

interface Node<Owner> {
  readonly lo: string;
  readonly hi: RangeEnd;
  readonly owners: Set<Owner>;
  readonly priority: number;
  left: Node<Owner> | undefined;
  right: Node<Owner> | undefined;
  /** Greatest end of this node and all below it. */
  maxHi: RangeEnd;
}

export class RangeTree<Owner> {
  #root: Node<Owner> | undefined;
  #random = 0x9e3779b9;
  #rangeCount = 0;

  /** How many different ranges there are. */
  get rangeCount(): number {
    return this.#rangeCount;
  }

  add(lo: string, hi: RangeEnd, owner: Owner): void {
    const node = this.#find(lo, hi);
    if (node !== undefined) {
      node.owners.add(owner);
      return;
    }
    this.#rangeCount++;
    const added: Node<Owner> = {
      lo,
      hi,
      owners: new Set([owner]),
      priority: this.#nextPriority(),
      left: undefined,
      right: undefined,
      maxHi: hi,
    };
    this.#root = insert(this.#root, added);
  }

  delete(lo: string, hi: RangeEnd, owner: Owner): void {
    const node = this.#find(lo, hi);
    if (node === undefined || !node.owners.delete(owner) || node.owners.size > 0) return;
    this.#rangeCount--;
    this.#root = remove(this.#root, node);
  }

  /** Calls back for every owner of every range that contains the key. The callback must not change the tree. */
  visit(key: string, callback: (owner: Owner) => void): void {
    visitNode(this.#root, key, callback);
  }

  #find(lo: string, hi: RangeEnd): Node<Owner> | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const order = compareRanges(lo, hi, node);
      if (order === 0) return node;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** xorshift32. */
  #nextPriority(): number {
    let value = this.#random;
    value ^= value << 13;
    value ^= value >>> 17;
    value ^= value << 5;
    this.#random = value;
    return value >>> 0;
  }
}

function visitNode<Owner>(node: Node<Owner> | undefined, key: string, callback: (owner: Owner) => void): void {
  let current = node;
  while (current !== undefined && isBefore(key, current.maxHi)) {
    visitNode(current.left, key, callback);
    if (key < current.lo) return;
    if (isBefore(key, current.hi)) for (const owner of current.owners) callback(owner);
    current = current.right;
  }
}

/** Splits by descent: the added node sinks to where its priority belongs, what lies below is parted around it. */
function insert<Owner>(node: Node<Owner> | undefined, added: Node<Owner>): Node<Owner> {
  if (node === undefined) return added;
  const goesLeft = compareRanges(added.lo, added.hi, node) < 0;
  if (added.priority > node.priority) {
    const [left, right] = split(node, added);
    added.left = left;
    added.right = right;
    update(added);
    return added;
  }
  if (goesLeft) node.left = insert(node.left, added);
  else node.right = insert(node.right, added);
  update(node);
  return node;
}

/** Parts a tree into what is less and what is greater than `pivot`, which it does not contain. */
function split<Owner>(
  node: Node<Owner> | undefined,
  pivot: Node<Owner>,
): [Node<Owner> | undefined, Node<Owner> | undefined] {
  if (node === undefined) return [undefined, undefined];
  if (compareRanges(pivot.lo, pivot.hi, node) < 0) {
    const [left, right] = split(node.left, pivot);
    node.left = right;
    update(node);
    return [left, node];
  }
  const [left, right] = split(node.right, pivot);
  node.right = left;
  update(node);
  return [node, right];
}

function remove<Owner>(node: Node<Owner> | undefined, target: Node<Owner>): Node<Owner> | undefined {
  if (node === undefined) return undefined;
  if (node === target) return merge(node.left, node.right);
  if (compareRanges(target.lo, target.hi, node) < 0) node.left = remove(node.left, target);
  else node.right = remove(node.right, target);
  update(node);
  return node;
}

/** Joins two trees of which everything in the first is less than everything in the second. */
function merge<Owner>(less: Node<Owner> | undefined, greater: Node<Owner> | undefined): Node<Owner> | undefined {
  if (less === undefined) return greater;
  if (greater === undefined) return less;
  if (less.priority > greater.priority) {
    less.right = merge(less.right, greater);
    update(less);
    return less;
  }
  greater.left = merge(less, greater.left);
  update(greater);
  return greater;
}

function update<Owner>(node: Node<Owner>): void {
  let maxHi = node.hi;
  if (node.left !== undefined) maxHi = later(maxHi, node.left.maxHi);
  if (node.right !== undefined) maxHi = later(maxHi, node.right.maxHi);
  node.maxHi = maxHi;
}

function later(left: RangeEnd, right: RangeEnd): RangeEnd {
  if (left === undefined || right === undefined) return undefined;
  return left < right ? right : left;
}

function isBefore(key: string, end: RangeEnd): boolean {
  return end === undefined || key < end;
}

function compareRanges<Owner>(lo: string, hi: RangeEnd, node: Node<Owner>): number {
  if (lo !== node.lo) return lo < node.lo ? -1 : 1;
  if (hi === node.hi) return 0;
  return hi !== undefined && isBefore(hi, node.hi) ? -1 : 1;
}
