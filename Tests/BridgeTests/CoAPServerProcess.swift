import CoAP
import Crypto
import Envelope
import Foundation
import MemberSecurity
import OSCORE
import Testing
import Wire

/// tools/peers/coap_server.py: an aiocoap server with EDHOC credentials, which knows nothing of envelopes.
final class CoAPServerProcess {
  /// The interpreter with aiocoap, which tools/test names.
  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

  private struct Answer: Decodable {
    var message: String?
    var error: String?
  }

  private let process = Process()
  private let (input, output) = (Pipe(), Pipe())
  private var pending = Data()
  private var messageID: UInt16 = 0

  /// A server that is `identity`, and lets `peers` agree on keys.
  init(_ identity: Identity, peers: [Member]) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    process.executableURL = URL(fileURLWithPath: try #require(Self.python))
    process.arguments = ["-B", root.appendingPathComponent("tools/peers/coap_server.py").path]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let own = Member(
      identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: .authOnly, roles: .node,
      name: identity.name)
    let credentials = try ([own] + peers).map { try #require($0.agreementCredential).encoded.hex }
    let setting: [String: Any] = [
      "key": [UInt8](identity.agreementKey.rawRepresentation).hex, "credential": credentials[0],
      "peers": Array(credentials.dropFirst()),
    ]
    _ = try ask(JSONSerialization.data(withJSONObject: setting))
  }

  deinit {
    // The end of its input ends it.
    try? input.fileHandleForWriting.close()
    process.terminate()
    process.waitUntilExit()
  }

  private func ask(_ job: Data) throws -> Answer {
    try input.fileHandleForWriting.write(contentsOf: job + [UInt8(ascii: "\n")])
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = pending[..<end]
        pending = Data(pending[(end + 1)...])
        return try JSONDecoder().decode(Answer.self, from: line)
      }
      let more = output.fileHandleForReading.availableData
      try #require(!more.isEmpty, "the server ended")
      pending += more
    }
  }

  /// What the server answers.
  func exchange(_ request: CoAPRequest) throws -> CoAPResponse {
    messageID += 1
    let message = CoAPMessage(
      type: .confirmable, code: request.code, messageID: messageID, options: request.options,
      payload: request.payload)
    let answer = try ask(JSONSerialization.data(withJSONObject: ["message": message.encoded().hex]))
    let bytes = try #require(answer.message.flatMap { [UInt8](hex: $0) }, "\(answer.error ?? "")")
    let response = try CoAPMessage(parsing: bytes)
    return CoAPResponse(code: response.code, options: response.options, payload: response.payload)
  }
}
