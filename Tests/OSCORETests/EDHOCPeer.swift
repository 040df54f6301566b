import Foundation
import Testing
import Wire

@testable import OSCORE

/// One party of a session in another program: tools/peers/edhoc.py is lakers, which had no part in this code and does
/// method 3 with suite 2; tools/peers/edhoc_reference.py computes the rest from the RFC.
final class EDHOCPeer {
  /// The interpreter with the library, which tools/test names.
  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

  struct Item: Codable, Equatable {
    var label: UInt64
    var critical: Bool
    var value: String?

    init(_ item: EDHOCEADItem) {
      (label, critical, value) = (item.label, item.isCritical, item.value?.hex)
    }
  }

  struct Job: Encodable {
    var `do`: String
    var key: String?
    var credential: String?
    var peer: String?
    var point: String?
    var header: String?
    var method: Int64?
    var suite: Int64?
    var identifier: String?
    var message: String?
    var byValue: Bool?
    var ead: [Item]?
    var label: Int?
    var context: String?
    var length: Int?

    init(_ name: String) { `do` = name }
  }

  struct Answer: Decodable {
    var bytes: String?
    var identifier: String?
    var credential: String?
    var ead: [Item]?
    var error: String?
  }

  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()

  init(_ script: String = "edhoc") throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    process.executableURL = URL(fileURLWithPath: try #require(Self.python))
    process.arguments = ["-B", root.appendingPathComponent("tools/peers/\(script).py").path]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// Does one job and waits for its answer, which may be an error.
  func answer(_ name: String, _ set: (inout Job) -> Void = { _ in }) throws -> Answer {
    var job = Job(name)
    set(&job)
    try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(job) + [UInt8(ascii: "\n")])
    var line = Data()
    while line.last != UInt8(ascii: "\n") {
      line += try #require(try output.fileHandleForReading.read(upToCount: 1), "the peer ended")
    }
    return try JSONDecoder().decode(Answer.self, from: line)
  }

  /// Does one job that must succeed.
  @discardableResult
  func run(_ name: String, _ set: (inout Job) -> Void = { _ in }) throws -> Answer {
    let answer = try answer(name, set)
    #expect(answer.error == nil, "\(name)")
    return answer
  }

  /// Does one job that must give bytes.
  func bytes(_ name: String, _ set: (inout Job) -> Void = { _ in }) throws -> [UInt8] {
    EDHOCFixtures.bytes(try #require(run(name, set).bytes))
  }
}
