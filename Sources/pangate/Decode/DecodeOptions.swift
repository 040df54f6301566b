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

/// What `decode` prints.
enum DecodeFormat: String, ExpressibleByArgument, CaseIterable {
  case table
  case json
  case ipv6Hex = "ipv6-hex"
  case pcap
}
