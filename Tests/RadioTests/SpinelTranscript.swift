import Foundation
import Radio
import Wire

/// A recorded conversation: Captures/spinel/INDEX.md says how it is written.
struct SpinelTranscript {
  struct Line {
    /// From the co-processor to the host.
    var isAnswer: Bool
    /// With a wrong FCS, on purpose.
    var isBroken: Bool
    /// What was on the line.
    var wire: [UInt8]
    /// The frame without framing, where the recording has it.
    var frame: [UInt8]?
    /// The last title (`##`) before it.
    var section: String
    /// What it says for people.
    var text: String
  }

  var lines: [Line] = []

  static let names = ["rcp-session", "rcp-source-match", "host-session"]

  init(_ name: String) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Captures/spinel")
    let content = try String(contentsOf: folder.appendingPathComponent(name + ".txt"), encoding: .utf8)
    var section = ""
    for text in content.split(separator: "\n") {
      if text.hasPrefix("## ") {
        section = String(text.dropFirst(3))
      } else if let wire = text.firstRange(of: "wire=").flatMap({ [UInt8](hex: text[$0.upperBound...]) }) {
        lines.append(
          Line(
            isAnswer: text.hasPrefix("R>H"), isBroken: text.contains("bad FCS"), wire: wire, section: section, text: "")
        )
      } else if let range = text.firstRange(of: "frame="), let last = lines.indices.last, text.hasPrefix(" ") {
        lines[last].frame = lines[last].frame ?? [UInt8](hex: text[range.upperBound...])
      }
      if text.hasPrefix("    # "), let last = lines.indices.last { lines[last].text = String(text.dropFirst(6)) }
    }
  }

  /// The frames of all lines that are whole.
  func frames(answers: Bool? = nil) throws -> [(frame: SpinelFrame, line: Line)] {
    try lines.filter { !$0.isBroken && (answers == nil || answers == $0.isAnswer) }.map { line in
      (try SpinelFrame(parsing: Self.content(line.wire)), line)
    }
  }

  /// The only frame in `wire`.
  static func content(_ wire: [UInt8]) throws -> [UInt8] {
    var decoder = HDLCDecoder()
    var reader = ByteReader(wire.rawSpan)
    guard let frame = decoder.next(&reader) else { throw ParseError(.hdlcFCSMismatch) }
    return frame
  }
}
