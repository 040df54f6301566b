import Foundation
import TestSupport
import Testing

/// `kill -9` at random points of a replay with `--state`.
@Suite("A replay that is killed")
struct CrashTests {
  /// Runs the replay and kills it when it has printed so many lines. Returns what it had printed.
  private func killed(after count: Int, state: String) throws -> [ReplayLine] {
    let process = Process()
    process.executableURL = Executable.products.appendingPathComponent("pangate")
    process.arguments = HomeReplay.arguments + ["--state", state]
    process.currentDirectoryURL = Executable.root
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var text = ""
    while text.count(where: { $0 == "\n" }) < count {
      let data = output.fileHandleForReading.availableData
      if data.isEmpty { break }
      text += String(decoding: data, as: UTF8.self)
    }
    kill(process.processIdentifier, SIGKILL)
    text += String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    // The last line may be half of one.
    return try ReplayLine.all(String(text[..<(text.lastIndex(of: "\n") ?? text.startIndex)]))
  }

  @Test("Nothing that was acknowledged is lost or doubled, wherever it is killed", arguments: 0..<24)
  func killedAnywhere(round: Int) throws {
    var generator = SeededGenerator(seed: UInt64(round) + 9)
    let reference = try #require(
      try ReplayLine.all(try Executable.run(HomeReplay.arguments).stdout).last?.summary?.inbox)
    let state = HomeReplay.temporary("state")
    defer { try? FileManager.default.removeItem(atPath: state) }
    var acknowledged = 0
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      let lines = try killed(after: Int.random(in: 0...60, using: &generator), state: state)
      acknowledged = max(acknowledged, lines.count { $0.event == "accepted" })
    }
    let lines = try ReplayLine.all(try Executable.run(HomeReplay.arguments + ["--state", state]).stdout)
    let summary = try #require(lines.last?.summary)
    #expect(summary.inbox?.sorted() == reference.sorted())
    #expect(summary.waiting.allSatisfy { $0.messages == 0 })
    // A command is given once, however often the replay was started.
    #expect(lines.count { $0.event == "command" } <= 2)
    let again = try ReplayLine.all(try Executable.run(HomeReplay.arguments + ["--state", state]).stdout)
    #expect(again.last?.summary?.inbox?.sorted() == reference.sorted())
    #expect(again.allSatisfy { $0.event != "accepted" && $0.event != "delivered" && $0.event != "command" })
  }

  @Test("A state directory in use is refused with one clear line")
  func inUse() throws {
    let state = HomeReplay.temporary("state")
    defer { try? FileManager.default.removeItem(atPath: state) }
    let first = Process()
    first.executableURL = Executable.products.appendingPathComponent("pangate")
    first.arguments = HomeReplay.arguments + ["--state", state, "--speed", "real"]
    first.currentDirectoryURL = Executable.root
    let output = Pipe()
    first.standardOutput = output
    try first.run()
    defer {
      kill(first.processIdentifier, SIGKILL)
      first.waitUntilExit()
    }
    // Its first line says that its stores are open.
    #expect(!output.fileHandleForReading.availableData.isEmpty)
    let second = try Executable.run(HomeReplay.arguments + ["--state", state])
    #expect(second.status == 3)
    #expect(second.stderr.contains("in use by another process"))
    #expect(second.stderr.split(separator: "\n").count == 1)
  }
}
