import CoAP
import Foundation
import OSCORE
import Testing
import Wire

/// tools/peers/oscore.py: the OSCORE of aiocoap, which had no part in this code, as a process that does jobs.
final class Aiocoap {
  /// The interpreter with aiocoap, which tools/test names.
  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

  struct Job: Encodable {
    var `do`: String
    var context = "peer"
    var secret: String?
    var salt: String?
    var sender: String?
    var recipient: String?
    var idContext: String?
    var sequence: Int?
    var echo: String?
    var message: String?
    var request: Int?
  }

  struct Outcome: Decodable {
    var message: String?
    var request: Int?
    var observe: Int64?
    var error: String?
  }

  private let process = Process()
  private let (input, output) = (Pipe(), Pipe())
  private var pending = Data()

  init() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    process.executableURL = URL(fileURLWithPath: try #require(Self.python))
    process.arguments = ["-B", root.appendingPathComponent("tools/peers/oscore.py").path]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  deinit {
    // The end of its input ends it.
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// Does one job.
  func run(_ job: Job) throws -> Outcome {
    try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(job) + [UInt8(ascii: "\n")])
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = pending[..<end]
        pending = Data(pending[(end + 1)...])
        return try JSONDecoder().decode(Outcome.self, from: line)
      }
      let more = output.fileHandleForReading.availableData
      try #require(!more.isEmpty, "the process ended")
      pending += more
    }
  }

  /// A message of the peer, taken apart, and the number of its request.
  private func message(_ outcome: Outcome) throws -> (CoAPMessage, request: Int) {
    let hex = try #require(outcome.message, "\(outcome.error ?? "")")
    return (try CoAPMessage(parsing: bytes(hex)), outcome.request ?? -1)
  }

  private func wire(_ content: some CoAPContent) throws -> String {
    try CoAPMessage(
      type: .nonConfirmable, code: content.code, messageID: 7, token: CoAPToken(), options: content.options,
      payload: content.payload
    ).encoded().hex
  }

  func protect(_ request: CoAPRequest) throws -> (CoAPRequest, request: Int) {
    let (message, number) = try message(run(Job(do: "protect", message: wire(request))))
    return (CoAPRequest(code: message.code, options: message.options, payload: message.payload), number)
  }

  func protect(_ response: CoAPResponse, request: Int) throws -> CoAPResponse {
    let (message, _) = try message(run(Job(do: "protect", message: wire(response), request: request)))
    return CoAPResponse(code: message.code, options: message.options, payload: message.payload)
  }

  func unprotect(_ request: CoAPRequest) throws -> (CoAPRequest, request: Int) {
    let outcome = try run(Job(do: "unprotect", message: wire(request)))
    let (message, number) = try message(outcome)
    var plain = CoAPRequest(code: message.code, options: message.options, payload: message.payload)
    plain.observe = outcome.observe.map { UInt32($0) }
    return (plain, number)
  }

  /// The value of Observe comes beside the response: with aiocoap it is the Partial IV, or -1 without.
  func unprotect(_ response: CoAPResponse, request: Int) throws -> (CoAPResponse, observe: Int64?) {
    let outcome = try run(Job(do: "unprotect", message: wire(response), request: request))
    let (message, _) = try message(outcome)
    return (CoAPResponse(code: message.code, options: message.options, payload: message.payload), outcome.observe)
  }

  /// The error with which the peer refuses a request, and its protected answer if it gives one.
  func refusal(_ request: CoAPRequest) throws -> (error: String?, answer: CoAPResponse?) {
    let outcome = try run(Job(do: "unprotect", message: wire(request)))
    let answer = try outcome.message.map { try CoAPMessage(parsing: bytes($0)) }
    return (
      outcome.error, answer.map { CoAPResponse(code: $0.code, options: $0.options, payload: $0.payload) }
    )
  }
}
