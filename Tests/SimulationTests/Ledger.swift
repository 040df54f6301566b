import Bridge
import CoAP
import Envelope
import Node
import Queue
import Wire

/// What was promised, done and delivered; and what must not have been.
struct Ledger {
  struct Report {
    var node: Int
    /// The gateway has answered 2.04.
    var isTaken = false
    /// Envelopes with it at the owner.
    var arrivals = 0
  }

  enum Method { case put, get, post }

  enum Answer: Hashable {
    case receipt(Receipt.Outcome, fromNode: Bool)
    /// A vouched response; the class of its code.
    case response(UInt8)
  }

  struct Command {
    var node: Int
    var kind: NodeKind
    var method: Method
    /// Tells it from all others in what is written.
    var text: String
    var given: Instant
    var executions = 0
    var answers: [Answer] = []
  }

  /// By label.
  var reports: [UInt64: Report] = [:]
  /// By sequence number of the owner.
  var commands: [UInt64: Command] = [:]
  private(set) var problems: [String] = []
  /// The last commands that each server's value was set by.
  private var written: [Int: [String]] = [:]
  private var numberByText: [String: UInt64] = [:]
  /// Numbers in the inbox that were looked at.
  private var lastRead: UInt64 = 0
  private var envelopes: Set<EnvelopeName> = []

  private struct EnvelopeName: Hashable {
    var sender: Bytes32
    var sequence: UInt64
  }

  mutating func note(problem: String) {
    // The first ones tell.
    if problems.count < 20 { problems.append(problem) }
  }

  mutating func give(_ command: Command, number: UInt64) {
    if commands[number] != nil { note(problem: "command \(number) was given twice") }
    commands[number] = command
    numberByText[command.text] = number
  }

  // MARK: Nodes

  mutating func note(_ event: DeviceEvent, of node: Int, owner: Address) {
    switch event {
    case .reported(let label):
      if reports[label]?.node != node { note(problem: "node \(node) reports label \(label)") }
      reports[label]?.isTaken = true
    case .acted(let sender, let number, let message):
      guard sender == owner, let command = commands[number], command.node == node,
        String(decoding: message.payload, as: UTF8.self) == command.text
      else { return note(problem: "node \(node) obeys \(number), which nobody asked for") }
      execute(number)
    case .served(let request, let code):
      guard code.isSuccess, request.code != .get else { return }
      let text = String(decoding: request.payload, as: UTF8.self)
      guard let number = numberByText[text], commands[number]?.node == node else {
        return note(problem: "node \(node) was written '\(text)', which nobody asked for")
      }
      if request.code == .put {
        // The same again is the same; but what was overwritten must not come back.
        if written[node]?.last == text { return }
        if written[node, default: []].contains(text) { note(problem: "node \(node) was written '\(text)' anew") }
        written[node, default: []].append(text)
      }
      execute(number)
    case .reportLost, .refused, .receiptTaken, .challenged, .recordObeyed, .chunkTaken, .chunkLost: break
    }
  }

  private mutating func execute(_ number: UInt64) {
    commands[number]?.executions += 1
    if let command = commands[number], command.executions > 1 {
      note(problem: "command \(number) (\(command.kind), \(command.method)) took effect \(command.executions) times")
    }
  }

  // MARK: Owner

  /// Reads what is new in the owner's inbox.
  mutating func read(_ store: MemoryStore, of owner: Identity, nodes: [SimulatedGroup.Node]) throws {
    let inbox = Mailbox(.mailbox, owner.address.bytes32)
    for message in try store.list(in: inbox, after: lastRead, limit: .max) {
      lastRead = message.number
      let isNew = envelopes.insert(EnvelopeName(sender: message.sender, sequence: message.seq)).inserted
      if !isNew { note(problem: "the owner has envelope \(message.seq) of one sender twice") }
      let envelope = try SignedEnvelope(parsing: message.bytes)
      let content = try envelope.open(with: owner)
      let sender = nodes.firstIndex { $0.member.address == Address(message.sender) }
      guard var number = envelope.header.extensions.inReplyTo else {
        arrive(content)
        continue
      }
      // An echo stands for the command that was challenged.
      if let original = try store.value("echo-of.\(number)") {
        number = UInt64(String(decoding: original, as: UTF8.self)) ?? number
      }
      guard commands[number] != nil else {
        note(problem: "an answer to \(number), which was never given")
        continue
      }
      if envelope.header.extensions.echoChallenge != nil {
        // Asked back when it was too late.
        commands[number]?.answers.append(.receipt(.expired, fromNode: true))
      } else if content.format == ContentFormats.receipt {
        let receipt = try Receipt(parsing: content.bytes)
        commands[number]?.answers.append(.receipt(receipt.outcome, fromNode: sender != nil))
      } else if content.format == ContentFormats.coapMessage {
        commands[number]?.answers.append(.response(try EncapsulatedMessage(parsing: content.bytes).code >> 5))
      }
    }
  }

  /// A report: its text begins with its label.
  private mutating func arrive(_ content: SignedEnvelope.Content) {
    let text = String(decoding: content.bytes, as: UTF8.self)
    guard let label = text.split(separator: ";").first.flatMap({ UInt64($0) }), reports[label] != nil else {
      return note(problem: "a report that no node made")
    }
    reports[label]?.arrivals += 1
    if reports[label]?.arrivals == 2 { note(problem: "report \(label) arrived twice") }
  }

  // MARK: The end

  /// What was promised and not kept. `dropped`: how many messages of no consequence gave way to others.
  mutating func close(nodes: [SimulatedGroup.Node], dropped: UInt64) {
    var missing = 0
    for (label, report) in reports.sorted(by: { $0.key < $1.key }) where report.isTaken && report.arrivals != 1 {
      if nodes[report.node].kind.isPlain, report.arrivals == 0, dropped > 0 {
        missing += 1
      } else {
        note(problem: "report \(label) of node \(report.node) was taken and arrived \(report.arrivals) times")
      }
    }
    if missing > dropped { note(problem: "\(missing) readings are missing; \(dropped) were dropped") }
    for (number, command) in commands.sorted(by: { $0.key < $1.key }) {
      let name = "command \(number) to node \(command.node) (\(command.kind), \(command.method))"
      if command.answers.isEmpty { note(problem: "\(name) has no answer; executions: \(command.executions)") }
      let isDelivered = command.answers.contains(.receipt(.delivered, fromNode: true))
      if isDelivered, command.executions != 1 {
        note(problem: "\(name) was receipted and took effect \(command.executions) times")
      }
      if command.answers.contains(.receipt(.delivered, fromNode: false)) {
        note(problem: "\(name) was receipted by another")
      }
      if command.method != .get, command.answers.contains(.response(2)), command.executions != 1 {
        note(problem: "\(name) was answered with success and took effect \(command.executions) times")
      }
    }
  }
}
