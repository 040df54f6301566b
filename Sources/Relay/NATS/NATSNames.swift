import Queue
import Wire

/// The streams and subjects of one prefix.
///
///     stream             subjects                                     holds
///     PREFIX-mail        PREFIX.mail.MAILBOX.spare|kept               mail; of no consequence, and all other
///     PREFIX-seen        PREFIX.seen.SCOPE.SENDER.SEQ                 replay records: digests
///     PREFIX-counters    PREFIX.counter.NAME                          numbers of ``RelayStore/advance(_:by:)``
///     KV_PREFIX          $KV.PREFIX.NAME                              values: a bucket that NATS' own tools show
///     none               PREFIX.deliver.RELAY.>                       to one relay
///     none               PREFIX.taken.MAILBOX                         another relay serves the mailbox now
///     none               PREFIX.chunk.ADDRESS                         chunks of streams, never stored
struct NATSNames: Sendable {
  let prefix: String
  /// This relay among all, new at every start.
  let relay: String

  init(prefix: String) {
    self.prefix = prefix
    relay = String(UInt64.random(in: .min ... .max), radix: 36)
  }

  var mail: String { prefix + "-mail" }
  var seen: String { prefix + "-seen" }
  var counters: String { prefix + "-counters" }
  var values: String { "KV_" + prefix }

  func token(_ mailbox: Mailbox) -> String {
    mailbox.kind == .mailbox ? "\(mailbox.address)" : "\(mailbox.address)-\(mailbox.kind.rawValue)"
  }

  func mailbox(token: some StringProtocol) -> Mailbox? {
    let parts = token.split(separator: "-", maxSplits: 1)
    guard let hex = parts.first, let bytes = [UInt8](hex: String(hex)), let address = Bytes32(bytes) else { return nil }
    guard parts.count == 2 else { return Mailbox(.mailbox, address) }
    return UInt8(parts[1]).flatMap { Mailbox.Kind(rawValue: $0) }.map { Mailbox($0, address) }
  }

  /// Mail of no consequence has a subject of its own: what is full is counted by subject, and there the oldest gives way.
  func mail(_ mailbox: Mailbox, class protectionClass: UInt8) -> String {
    "\(prefix).mail.\(token(mailbox)).\(protectionClass == 0 ? NATSNames.spare : "kept")"
  }

  /// The end of a subject where the oldest gives way.
  static let spare = "spare"

  func mail(_ mailbox: Mailbox) -> String { "\(prefix).mail.\(token(mailbox)).*" }

  /// Whose mail has this subject.
  func mailbox(subject: String) -> Mailbox? {
    let tokens = subject.split(separator: ".")
    guard tokens.count == 4, tokens[0] == prefix, tokens[1] == "mail" else { return nil }
    return mailbox(token: tokens[2])
  }

  func seen(_ key: ReplayKey) -> String { "\(prefix).seen.\(key.scope.rawValue).\(key.sender).\(key.seq)" }

  func counter(_ name: String) -> String { "\(prefix).counter.\(escaped(name))" }
  func value(_ name: String) -> String { "$KV.\(prefix).\(escaped(name))" }
  /// The name in a subject of ``value(_:)``.
  func valueName(subject: String) -> String? {
    let start = "$KV.\(prefix)."
    return subject.hasPrefix(start) ? unescaped(subject.dropFirst(start.count)) : nil
  }

  func chunk(_ address: Bytes32) -> String { "\(prefix).chunk.\(address)" }
  func taken(_ token: String) -> String { "\(prefix).taken.\(token)" }
  func deliver(_ to: String) -> String { "\(prefix).deliver.\(relay).\(to)" }
}

/// Any name as one token of a subject: letters, digits, `-` and `_` as they are, every other byte as `=` and two digits.
private func escaped(_ name: String) -> String {
  guard !name.isEmpty else { return "=" }
  var text: [UInt8] = []
  for byte in name.utf8 {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      text.append(byte)
    default: text += [UInt8(ascii: "=")] + Array([byte].hex.utf8)
    }
  }
  return String(decoding: text, as: UTF8.self)
}

private func unescaped(_ token: Substring) -> String? {
  guard token != "=" else { return "" }
  let parts = token.split(separator: "=", omittingEmptySubsequences: false)
  var bytes = parts.first.map { Array($0.utf8) } ?? []
  for part in parts.dropFirst() {
    guard part.utf8.count >= 2, let byte = [UInt8](hex: String(part.prefix(2))) else { return nil }
    bytes += byte + Array(part.dropFirst(2).utf8)
  }
  return String(validating: bytes, as: UTF8.self)
}
