import Foundation
import TestSupport
import Testing

/// The part of `Captures/home.expected.json` that a replay must agree with. It was derived from what the devices noted and
/// from tshark, never from Pangate.
struct HomeExpectation: Decodable {
  struct Message: Decodable {
    var frame: Int
    var from: String?
    var kind: String
    var `class`: String
    var size: Int
    var seq: UInt64?
    var to: [String]?
    var inReplyTo: UInt64?
    var expect: String
    var reason: String?
  }
  struct Broken: Decodable {
    var frame: Int
    var reason: String
  }
  struct Copy: Decodable {
    var frame: Int
    var expect: String
  }
  struct Command: Decodable {
    var to: String
    var seq: UInt64
    var queueNumber: UInt64
    var handedFrame: Int
    var confirmedFrame: Int
    var receiptFrame: Int
  }

  var frames: Int
  var framesFromGateway: Int
  var messages: [Message]
  var brokenFrames: [Broken]
  var duplicates: [Copy]
  var commands: [Command]

  static func load() throws -> HomeExpectation {
    let file = Executable.root.appendingPathComponent("Captures/home.expected.json")
    return try JSONDecoder().decode(HomeExpectation.self, from: try Data(contentsOf: file))
  }
}

/// One line of `replay --json`.
struct ReplayLine: Decodable {
  var frame: Int?
  var event: String?
  var from: String?
  var to: [String]?
  var `class`: String?
  var kind: String?
  var size: Int?
  var sequence: UInt64?
  var queueNumber: UInt64?
  var inReplyTo: UInt64?
  var readableBy: [String]?
  var reason: String?
  var command: String?
  var outcome: String?
  var summary: Summary?

  struct Summary: Decodable {
    var frames: Int
    var ownFrames: Int
    var framesSent: Int
    var inbox: [String]?
    var waiting: [Waiting]
  }
  struct Waiting: Decodable {
    var queue: String
    var messages: Int
  }

  static func all(_ text: String) throws -> [ReplayLine] {
    try text.split(separator: "\n").map { try JSONDecoder().decode(ReplayLine.self, from: Data($0.utf8)) }
  }
}

enum HomeReplay {
  static let arguments = ["replay", "Captures/home.pcap", "--config", "Config/demo/gateway.yaml", "--json"]

  static func temporary(_ name: String) -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(name)-\(UUID().uuidString)").path
  }
}

@Suite("pangate replay")
struct ReplayTests {
  @Test("Every message of the recorded home is bridged or refused as was written down beforehand")
  func home() throws {
    let expected = try HomeExpectation.load()
    let result = try Executable.run(HomeReplay.arguments)
    #expect(result.status == 1, "the recording holds errors")
    let lines = try ReplayLine.all(result.stdout)
    for message in expected.messages {
      let line = try #require(
        lines.first { $0.frame == message.frame && ($0.event == "accepted" || $0.event == "refused") },
        "frame \(message.frame)")
      #expect(line.event == message.expect, "frame \(message.frame)")
      #expect(line.reason == message.reason, "frame \(message.frame)")
      #expect(line.size == message.size && line.kind == message.kind, "frame \(message.frame)")
      guard message.expect == "accepted" else { continue }
      #expect(line.from == message.from && line.class == message.class, "frame \(message.frame)")
      #expect(line.inReplyTo == message.inReplyTo, "frame \(message.frame)")
      if let sequence = message.seq { #expect(line.sequence == sequence && line.to == message.to) }
      // A confidential message is readable by those it is for, and by no hop.
      let hops = ["gateway", "relay"].filter { line.readableBy?.contains($0) == true }
      #expect(hops.isEmpty == (message.class == "confidential"), "frame \(message.frame)")
    }
    let judged = lines.filter { $0.event == "accepted" || $0.event == "refused" }
    #expect(judged.count == expected.messages.count)
    let classes = Set(judged.filter { $0.event == "accepted" }.compactMap(\.class))
    #expect(classes == ["no-consequence", "auth-only", "confidential"])
    for broken in expected.brokenFrames {
      #expect(lines.contains { $0.frame == broken.frame && $0.event == "dropped" && $0.reason == broken.reason })
    }
    for copy in expected.duplicates {
      #expect(lines.contains { $0.frame == copy.frame && $0.event == "dropped" && $0.reason == copy.expect })
    }
    let summary = try #require(lines.last?.summary)
    #expect(summary.frames == expected.frames && summary.ownFrames == expected.framesFromGateway)
    #expect(summary.inbox?.count == expected.messages.count { $0.expect == "accepted" })
    #expect(summary.waiting.allSatisfy { $0.messages == 0 })
  }

  @Test("Held commands are handed over when the sleeping nodes poll, and their receipts come back")
  func commands() throws {
    let expected = try HomeExpectation.load()
    let lines = try ReplayLine.all(try Executable.run(HomeReplay.arguments).stdout)
    for command in expected.commands {
      let held = lines.first { $0.event == "held" && $0.to == [command.to] }
      #expect(held?.queueNumber == command.queueNumber && held?.sequence == command.seq)
      #expect(lines.contains { $0.event == "handed" && $0.frame == command.handedFrame && $0.to == [command.to] })
      #expect(lines.contains { $0.event == "confirmed" && $0.frame == command.confirmedFrame })
      let receipt = lines.first { $0.event == "receipt" && $0.frame == command.receiptFrame }
      #expect(receipt?.from == command.to && receipt?.outcome == "delivered")
      #expect(receipt?.command?.hasPrefix(command.to + ": PUT ") == true)
    }
  }

  @Test("A recording gives the same result every time, up to signatures")
  func deterministic() throws {
    let first = try Executable.run(HomeReplay.arguments).stdout
    #expect(try Executable.run(HomeReplay.arguments).stdout == first)
  }

  @Test("A command that is given on the command line waits for a node that does not poll any more")
  func commandLine() throws {
    let result = try Executable.run(HomeReplay.arguments + ["--command", "lock: PUT /lock closed"])
    let lines = try ReplayLine.all(result.stdout)
    // The recording's lock confirms the first command only; the second was shown to it and stays.
    #expect(lines.last?.summary?.waiting.first { $0.queue == "lock" }?.messages == 1)
    #expect(lines.contains { $0.event == "command" && $0.command == "lock: PUT /lock closed" })
  }

  @Test(
    "tshark reads what the gateway sent without complaint",
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/tshark"), "tshark is not installed"))
  func transmissions() throws {
    let file = HomeReplay.temporary("tx") + ".pcap"
    defer { try? FileManager.default.removeItem(atPath: file) }
    let lines = try ReplayLine.all(try Executable.run(HomeReplay.arguments + ["--tx", file]).stdout)
    let tshark = URL(fileURLWithPath: "/usr/bin/tshark")
    func read(_ filter: String) throws -> [Substring] {
      try Executable.run(tshark, ["-r", file, "-o", "udp.check_checksum:TRUE", "-Y", filter]).stdout
        .split(separator: "\n")
    }
    let sent = try #require(lines.last?.summary?.framesSent)
    #expect(sent > 0)
    #expect(try read("wpan").count == sent)
    #expect(try read("_ws.malformed || _ws.expert.severity >= 0x600000 || udp.checksum.status == 0").isEmpty)
    #expect(
      try read("coap.code == 68").count == lines.count { $0.event == "accepted" } + 2,
      "the replay and the copy get theirs too")
    #expect(try read("icmpv6.type == 134").count > 0, "router advertisements")
    #expect(try read("icmpv6.type == 129").count == 2, "echo replies")
  }
}
