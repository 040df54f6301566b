extension IPv6Address: LosslessStringConvertible {
  /// Reads the text forms of RFC 4291, 2.2: groups of hexadecimal digits, one `::`, a dotted IPv4 tail.
  ///
  /// `nil` for anything else; zone identifiers (`%eth0`) and prefix lengths are not part of an address.
  public init?(_ description: String) {
    guard let words = Self.words(of: Substring(description).utf8) else { return nil }
    self.init(high: words.high, low: words.low)
  }

  /// The one canonical form of RFC 5952: lower case, no leading zeros, `::` for the first longest run of two or
  /// more zero groups, and the dotted form for IPv4-mapped addresses.
  public var description: String {
    if high == 0, low >> 32 == 0xffff {
      return "::ffff:" + (0..<4).map { String((low >> (24 - 8 * UInt64($0))) & 0xff) }.joined(separator: ".")
    }
    let groups = (0..<8).map { group in
      UInt16(truncatingIfNeeded: (group < 4 ? high : low) >> (48 - 16 * UInt64(group & 3)))
    }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > max(best.count, 1) { best = start..<end }
      start = end + 1
    }
    let text = { (range: Range<Int>) in range.map { String(groups[$0], radix: 16) }.joined(separator: ":") }
    return best.isEmpty ? text(0..<8) : text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
  }

  private static func words(of text: Substring.UTF8View) -> (high: UInt64, low: UInt64)? {
    guard text.count <= 45 else { return nil }
    let halves = Substring(text).split(separator: "::", omittingEmptySubsequences: false)
    guard halves.count <= 2, let first = groups(of: halves[0], mayHoldDotted: halves.count == 1) else {
      return nil
    }
    var groups = first
    if halves.count == 2 {
      guard let last = Self.groups(of: halves[1], mayHoldDotted: true) else { return nil }
      // `::` stands for at least one group.
      guard first.count + last.count <= 7 else { return nil }
      groups += [UInt16](repeating: 0, count: 8 - first.count - last.count) + last
    }
    guard groups.count == 8 else { return nil }
    let word = { (from: Int) in groups[from..<from + 4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
    return (word(0), word(4))
  }

  private static func groups(of text: Substring, mayHoldDotted: Bool) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var groups: [UInt16] = []
    for (index, part) in parts.enumerated() {
      if mayHoldDotted, index == parts.count - 1, part.contains(".") {
        guard let dotted = dottedGroups(of: part) else { return nil }
        groups += dotted
      } else {
        guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"),
          let group = UInt16(part, radix: 16)
        else { return nil }
        groups.append(group)
      }
    }
    return groups
  }

  private static func dottedGroups(of text: Substring) -> [UInt16]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        part == "0" || part.utf8.first != UInt8(ascii: "0"), let octet = UInt8(part)
      else { return nil }
      value = value << 8 | UInt32(octet)
    }
    return [UInt16(value >> 16), UInt16(value & 0xffff)]
  }
}
