import COSE
import Crypto
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 3.2 and 5.2, with the vectors of C.1 to C.3.
struct KeyDerivationTests {
  struct Vector: Sendable {
    var name: String
    var salt = ""
    var ids: (client: String, server: String)
    var idContext: String?
    /// `info` of the client's key, of the server's key, and of the Common IV.
    var info: [String]
    var keys: (client: String, server: String)
    var commonIV: String
    /// Nonces for Partial IV 0.
    var nonces: (client: String, server: String)
  }

  static let vectors = [
    Vector(
      name: "C.1", salt: "9e7ca92223786340", ids: ("", "01"),
      info: ["8540f60a634b657910", "854101f60a634b657910", "8540f60a6249560d"],
      keys: ("f0910ed7295e6ad4b54fc793154302ff", "ffb14e093c94c9cac9471648b4f98710"),
      commonIV: "4622d4dd6d944168eefb54987c",
      nonces: ("4622d4dd6d944168eefb54987c", "4722d4dd6d944169eefb54987c")),
    Vector(
      name: "C.2", ids: ("00", "01"),
      info: ["854100f60a634b657910", "854101f60a634b657910", "8540f60a6249560d"],
      keys: ("321b26943253c7ffb6003b0b64d74041", "e57b5635815177cd679ab4bcec9d7dda"),
      commonIV: "be35ae297d2dace910c52e99f9",
      nonces: ("bf35ae297d2dace910c52e99f9", "bf35ae297d2dace810c52e99f9")),
    Vector(
      name: "C.3", salt: "9e7ca92223786340", ids: ("", "01"), idContext: "37cbf3210017a2d3",
      info: [
        "85404837cbf3210017a2d30a634b657910", "8541014837cbf3210017a2d30a634b657910",
        "85404837cbf3210017a2d30a6249560d",
      ],
      keys: ("af2a1300a5e95788b356336eeecd2b92", "e39a0c7c77b43f03b4b39ab9a268699f"),
      commonIV: "2ca58fb85ff1b81c0b7181b85e",
      nonces: ("2ca58fb85ff1b81c0b7181b85e", "2da58fb85ff1b81d0b7181b85e")),
  ]

  static func contexts(_ vector: Vector) throws -> (client: OSCORESecurityContext, server: OSCORESecurityContext) {
    let secret = SymmetricKey(data: bytes("0102030405060708090a0b0c0d0e0f10"))
    let (one, other) = (
      try OSCOREIdentifier(bytes(vector.ids.client)), try OSCOREIdentifier(bytes(vector.ids.server))
    )
    func context(_ sender: OSCOREIdentifier, _ recipient: OSCOREIdentifier) throws -> OSCORESecurityContext {
      try OSCORESecurityContext(
        masterSecret: secret, masterSalt: bytes(vector.salt), senderID: sender, recipientID: recipient,
        idContext: vector.idContext.map(bytes))
    }
    return (try context(one, other), try context(other, one))
  }

  @Test("Sender Key, Recipient Key, Common IV and nonces at both ends", arguments: vectors)
  func derivation(_ vector: Vector) throws {
    let (client, server) = try Self.contexts(vector)
    for (context, keys, nonces) in [
      (client, vector.keys, vector.nonces),
      (
        server, (client: vector.keys.server, server: vector.keys.client),
        (client: vector.nonces.server, server: vector.nonces.client)
      ),
    ] {
      #expect(context.senderKey.bytes.hex == keys.client, "\(vector.name)")
      #expect(context.recipientKey.bytes.hex == keys.server)
      #expect(context.commonIV.bytes.hex == vector.commonIV)
      #expect(context.nonce(context.senderID, 0).bytes.hex == nonces.client)
      #expect(context.nonce(context.recipientID, 0).bytes.hex == nonces.server)
    }
  }

  @Test("info", arguments: vectors)
  func info(_ vector: Vector) {
    let context = vector.idContext.map(bytes)
    let inputs = [(vector.ids.client, "Key", 16), (vector.ids.server, "Key", 16), ("", "IV", 13)]
    for (input, expected) in zip(inputs, vector.info) {
      #expect(
        OSCOREKeys.info(id: bytes(input.0), idContext: context, type: input.1, length: input.2).hex == expected)
    }
  }

  @Test("Identifiers of 0 to 7 bytes; both ends must differ")
  func identifiers() throws {
    for count in 0...7 {
      let value = [UInt8](repeating: 0xff, count: count)
      let identifier = try OSCOREIdentifier(value)
      #expect(identifier.bytes == value && identifier.count == count)
    }
    // Zeros on the left count.
    #expect(try OSCOREIdentifier([0]) != OSCOREIdentifier([]))
    #expect(try OSCOREIdentifier([0, 1]) != OSCOREIdentifier([1]))
    #expect(throws: OSCOREError(.oscoreParametersInvalid)) { try OSCOREIdentifier([UInt8](repeating: 0, count: 8)) }
    #expect(throws: OSCOREError(.oscoreParametersInvalid)) { try Pair(clientID: "01", serverID: "01") }
  }
}
