import ArgumentParser
import Bridge
import CoAP
import Envelope
import Foundation
import Wire

/// `pangate send`: a message or a command, through a relay.
struct SendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send",
    abstract: "Send a message to a member, or a command to a node.",
    discussion: """
      With the configuration of an endpoint it goes through a relay; with --control, or the configuration of a gateway
      that has an owner in its process, it is given there. It is on disk before anything is sent, so that an interrupted
      command is sent by the next one.

      EXAMPLES
        pangate send --config Config/endpoint.yaml --to lock --coap 'PUT /lock open' --wait
        pangate send --config Config/endpoint.yaml --to lock --coap 'PUT /lock open' --end-to-end --wait
        pangate send --config Config/endpoint.yaml --to phone2 --text 'home at six' --class confidential
        pangate send --config Config/endpoint.yaml --to phone2 --file photo.jpg --content-format 22
        pangate send --control /run/pangate/control --to lock --coap 'PUT /lock open'

      \(Exit.help)
      """)

  @Option(help: "The endpoint's configuration; Config/endpoint.yaml explains every key.") var config: String?
  @Option(help: "The control socket of a gateway with an owner in its process.") var control: String?
  @Option(help: "The recipient's name in the peer record; more than one for a message.") var to: [String]
  @Option(help: "A command: METHOD /path [value].") var coap: String?
  @Option(help: "A text.") var text: String?
  @Option(help: "A JSON document.") var jsonBody: String?
  @Option(help: "The content of a file; '-' is standard input.") var file: String?
  @Option(help: "The content format of --file (CoAP's registry), 42 for bytes.") var contentFormat: UInt16 = 42
  @Option(
    name: .customLong("class"), help: "no-consequence, auth-only or confidential; stronger if the recipient demands it."
  )
  var protection: ProtectionClass = .authOnly
  @Flag(help: "A command that no hop on the way can read: OSCORE, with keys that EDHOC agrees on first.")
  var endToEnd = false
  @Option(help: "Seconds for which it may be held.") var lifetime: UInt64 = 86_400
  @Flag(help: "Wait for the signed receipt of the recipient.") var wait = false
  @Option(help: "Give up waiting after so many seconds; what was sent stays sent.") var timeout: Int = 60
  @Flag(help: "As JSON, one object a line.") var json = false
  @Option(help: ArgumentHelp("See 'pangate relay'.", visibility: .hidden)) var startTime: Int64?

  func validate() throws {
    guard [coap, text, jsonBody, file].compactMap({ $0 }).count == 1 else {
      throw ValidationError("give one of --coap, --text, --json-body and --file")
    }
    guard !endToEnd || coap != nil && config != nil else {
      throw ValidationError("--end-to-end is for commands (--coap) of an endpoint (--config)")
    }
    guard (config == nil) != (control == nil) else { throw ValidationError("give --config or --control") }
  }

  func run() async throws {
    if let path = try controlPath() { return try sendOverControl(path) }
    guard let config else { return }
    let runner = try EndpointRunner(EndpointConfiguration.load(config), clock: ShiftedClock(start: startTime))
    let members = try runner.members(to)
    let sequence = try give(runner, members)
    show("given", sequence, ["to": to.joined(separator: ", ")])
    let outcome = try await follow(runner, sequence, members)
    await runner.stop()
    if let failure = outcome { throw failure }
  }

  /// The control socket, if that is the way.
  private func controlPath() throws -> String? {
    if let control { return control }
    guard let config, try ConfigSection.load(config).holds("pan") else { return nil }
    var option = ControlOption()
    option.config = config
    option.control = nil
    return try option.path()
  }

  private func sendOverControl(_ path: String) throws {
    guard let coap, to.count == 1 else {
      throw Failure.usage("a gateway takes commands only: give one --to and --coap")
    }
    guard case .sent(let sequence) = try ControlClient.ask(.send("\(to[0]): \(coap)"), at: path) else { return }
    print(json ? JSONOutput.line(["sequence": sequence]) : "given, seq \(sequence)")
  }

  private func give(_ runner: EndpointRunner, _ members: [Member]) throws -> UInt64 {
    let now = runner.clock.now
    if let coap {
      guard members.count == 1, let command = CommandText("\(to[0]): \(coap)") else {
        throw Failure.usage("--coap '\(coap)' is no command for one node: write METHOD /path [value]")
      }
      do {
        let given = try runner.say {
          try $0.command(command, label: UUID().uuidString, lifetime: lifetime, endToEnd: endToEnd, now: now)
        }
        return given ?? 0
      } catch let error as CommandError { throw Failure.usage("\(error)") }
    }
    var content = SignedEnvelope.Content(format: UInt64(contentFormat), bytes: [])
    if let text { content = .init(format: 0, bytes: Array(text.utf8)) }
    if let jsonBody {
      guard (try? JSONSerialization.jsonObject(with: Data(jsonBody.utf8), options: .fragmentsAllowed)) != nil else {
        throw Failure.usage("--json-body is no JSON")
      }
      content = .init(format: UInt64(CoAPContentFormat.json.rawValue), bytes: Array(jsonBody.utf8))
    }
    if let file { content.bytes = try InputFile.bytes(file) }
    let description = "\(to.joined(separator: ", ")): \(text ?? jsonBody ?? file ?? "")"
    return try runner.say {
      try $0.say(
        content, to: members, as: protection.class, description: description, lifetime: lifetime, now: now)
    }
  }

  /// Shows what becomes of it; `nil` if all went well.
  private func follow(_ runner: EndpointRunner, _ sequence: UInt64, _ members: [Member]) async throws -> Failure? {
    var failure: Failure?
    var missing = Set(members.map(\.name))
    let isInTime = try await runner.run(timeout: .seconds(timeout)) { step in
      switch step {
      case .accepted(sequence):
        show("accepted", sequence, ["by": "the relay", "held": "until \(to.joined(separator: ", ")) takes it"])
        return !wait
      case .refused(sequence, let reason):
        failure = Failure(description: "the relay refuses seq \(sequence): \(reason)", code: Exit.inputErrors)
        return true
      case .delivered(let delivery) where delivery.inReplyTo == sequence:
        let receipt = delivery.receipt.map { "\($0.outcome)" } ?? "answered"
        var more = ["by": delivery.vouchedBy.map { "\(delivery.from), vouched for by \($0)" } ?? delivery.from]
        if let reason = delivery.receipt?.reason { more["reason"] = reason }
        if delivery.receipt == nil { more["reads"] = DeliveredMessage(delivery).line }
        show(receipt, sequence, more.merging(["signature": "verified"]) { $1 })
        try runner.say { try $0.forget(delivery.number) }
        if let receipt = delivery.receipt, receipt.outcome != .delivered {
          failure = Failure(
            description: "seq \(sequence) was \(receipt.outcome): \(receipt.reason ?? "no reason given")",
            code: Exit.inputErrors)
          return true
        }
        missing.remove(delivery.from)
        return missing.isEmpty || members.count == 1
      case .down(let url, let reason): note("pangate: \(url): \(reason); trying again")
      default: break
      }
      return false
    }
    if !isInTime, failure == nil {
      failure = Failure(
        description:
          "no answer within \(timeout) seconds; seq \(sequence) stays in the outbox or with the relay, and is "
          + "sent or answered later: 'pangate receive' shows it", code: Exit.inputErrors)
    }
    return failure
  }

  private func show(_ line: String) { pangate.show(line) }

  private func show(_ what: String, _ sequence: UInt64, _ more: [String: String]) {
    if json {
      var object = more
      object["what"] = what
      object["seq"] = "\(sequence)"
      show(JSONOutput.line(object))
    } else {
      let rest = more.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      show("\(what), seq \(sequence): \(rest)")
    }
  }
}

/// The classes as words of the command line.
enum ProtectionClass: String, ExpressibleByArgument, CaseIterable {
  case noConsequence = "no-consequence"
  case authOnly = "auth-only"
  case confidential

  var `class`: EnvelopeClass {
    switch self {
    case .noConsequence: .noConsequence
    case .authOnly: .authOnly
    case .confidential: .confidential
    }
  }
}
