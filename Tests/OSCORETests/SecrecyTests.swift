import Crypto
import Testing
import Wire

@testable import OSCORE

/// What prints a context prints no key.
struct SecrecyTests {
  @Test("Descriptions, debug descriptions and dumps hold no key and no IV")
  func descriptions() throws {
    let pair = try Pair()
    let state = pair.client.durableState
    let (_, exchange) = try pair.client.copyAndProtect()
    var table = OSCOREContextTable<Int>()
    try table.insert(pair.client, for: 1)
    var dumped = ""
    for value in [pair.client, state, exchange, table, pair] as [Any] {
      dump(value, to: &dumped)
      dumped += "\(value) \(String(reflecting: value))\n"
    }
    let secrets = [pair.client.senderKey.bytes, pair.client.recipientKey.bytes]
    for secret in secrets {
      #expect(!dumped.contains(secret.hex))
      #expect(!dumped.contains(secret.map(String.init).joined(separator: ", ")))
      for byte in secret where byte > 99 { #expect(!dumped.contains("- \(byte)\n")) }
    }
    #expect(dumped.contains("OSCORE context, sender c1, recipient 5e02, sequence number 0"))
    #expect(!dumped.contains("senderKey"))
    #expect(!dumped.contains("commonIV"))
  }

  @Test("A context takes a few hundred bytes")
  func size() {
    #expect(MemoryLayout<OSCORESecurityContext>.size <= 256)
  }
}

extension OSCORESecurityContext {
  /// Protects with a copy, so that this one stays as it is.
  fileprivate func copyAndProtect() throws -> (Any, OSCOREExchange) {
    var copy = self
    let (request, exchange) = try copy.protectRequest(.ping)
    return (request, exchange)
  }
}
