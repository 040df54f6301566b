import ArgumentParser
import IEEE802154
import IPv6
import Wire

/// `--context N=PREFIX/LEN`: a context for stateful address decompression (RFC 6282, 3.1.2).
struct ContextOption {
  var identifier: UInt8
  var prefix: IPv6Prefix

  init(_ text: String) throws {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let identifier = UInt8(parts[0]), identifier < 16,
      let prefix = IPv6Prefix(String(parts[1]))
    else {
      throw ValidationError(
        "--context '\(text)': give N=PREFIX/LEN with N from 0 to 15, for example 1=fd00:1::/64")
    }
    self.identifier = identifier
    self.prefix = prefix
  }
}

/// `--key INDEX:HEX`: a key of IEEE 802.15.4 security.
struct KeyOption {
  var index: UInt8
  var key: [UInt8]

  init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let index = UInt8(parts[0]), let key = [UInt8](hex: parts[1]), key.count == 16
    else {
      throw ValidationError(
        "--key '\(text)': give INDEX:HEX, the key index from 0 to 255 and the key in 32 hexadecimal digits")
    }
    self.index = index
    self.key = key
  }
}

/// `--eui SHORT=EUI64`: whose short address this is. Frames that are secured and come from a short address need it.
struct ExtendedAddressOption {
  var short: ShortAddress
  var extended: ExtendedAddress

  init(_ text: String) throws {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let short = ShortAddress(String(parts[0])),
      let extended = ExtendedAddress(String(parts[1]))
    else {
      throw ValidationError(
        "--eui '\(text)': give SHORT=EUI64, both in hexadecimal, for example 0x0b01=02:12:4b:00:00:00:00:03")
    }
    self.short = short
    self.extended = extended
  }
}

/// What a command that decodes frames has to be told beside them.
struct DecodingOptions: ParsableArguments {
  @Option(
    name: .customLong("context"),
    help: ArgumentHelp(
      "A 6LoWPAN context, for example 1=fd00:1::/64. May be repeated.", valueName: "n=prefix/len"))
  var contextTexts: [String] = []

  @Option(
    name: .customLong("key"),
    help: ArgumentHelp("An 802.15.4 key by its index. May be repeated.", valueName: "index:hex"))
  var keyTexts: [String] = []

  @Option(
    name: .customLong("eui"),
    help: ArgumentHelp(
      "Whose short address it is, for secured frames. May be repeated.", valueName: "short=eui64"))
  var extendedAddressTexts: [String] = []

  var settings: DescriberSettings {
    get throws {
      DescriberSettings(
        contexts: try contextTexts.map(ContextOption.init), keys: try keyTexts.map(KeyOption.init),
        extendedAddresses: try extendedAddressTexts.map(ExtendedAddressOption.init))
    }
  }

  func validate() throws {
    let contexts = try contextTexts.map { try ContextOption($0).identifier }
    if let twice = Self.firstRepeated(contexts) { throw ValidationError("--context \(twice) is given twice") }
    let keys = try keyTexts.map { try KeyOption($0).index }
    if let twice = Self.firstRepeated(keys) { throw ValidationError("--key \(twice) is given twice") }
    let shorts = try extendedAddressTexts.map { try ExtendedAddressOption($0).short }
    if let twice = Self.firstRepeated(shorts) { throw ValidationError("--eui \(twice) is given twice") }
  }

  private static func firstRepeated<T: Hashable>(_ values: [T]) -> T? {
    var seen: Set<T> = []
    return values.first { !seen.insert($0).inserted }
  }
}

/// What `decode` prints.
enum DecodeFormat: String, ExpressibleByArgument, CaseIterable {
  case table
  case json
  case ipv6Hex = "ipv6-hex"
  case pcap
}
