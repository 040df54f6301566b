import Foundation
import IPv6

/// The prefix that a gateway has generated for its PAN, once for all (RFC 4193, 3.2): 40 random bits of global ID, subnet 0.
enum KeptPrefix {
  /// The one in the state directory, or a new one, which is there when this returns.
  static func prefix(state: String?) throws -> IPv6Prefix {
    guard let state else {
      throw Failure.cannotStart("'prefix: generate' needs 'state', the directory where the prefix is kept")
    }
    let path = state + "/prefix"
    // One that is there and cannot be read is never replaced: nodes have addresses of it.
    if FileManager.default.fileExists(atPath: path) {
      let bytes: Data
      do { bytes = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
        throw Failure.cannotStart("\(path): cannot be read: \(reason(error))")
      }
      let text = String(decoding: bytes, as: UTF8.self)
      guard let prefix = IPv6Prefix(text.trimmingCharacters(in: .whitespacesAndNewlines)), prefix.length == 64 else {
        throw Failure.cannotStart(
          "\(path): holds no prefix of 64 bits; put the old one back, or remove the file: nodes then get new addresses")
      }
      return prefix
    }
    let prefix = generate(UInt64.random(in: 0..<(1 << 40)))
    do {
      try FileManager.default.createDirectory(
        atPath: state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      try Data("\(prefix)\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch { throw Failure.cannotStart("\(path): cannot be written: \(reason(error))") }
    return prefix
  }

  /// `fd`, the global ID, subnet 0.
  static func generate(_ globalID: UInt64) -> IPv6Prefix {
    IPv6Prefix(IPv6Address(high: 0xfd00_0000_0000_0000 | (globalID & 0xff_ffff_ffff) << 16, low: 0), length: 64)
  }
}
