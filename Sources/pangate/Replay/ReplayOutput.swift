import Bridge
import Foundation
import Wire

/// Prints a replay as it goes: a table with fixed columns, or JSON.
struct ReplayOutput: ~Copyable {
  var frames = 0
  var sent = 0
  private(set) var sawRefusal = false
  private let json: Bool
  private var buffer = OutputBuffer()
  private var summary = ReplaySummary()
  private var start: Instant?
  private static let widths = [9, 5, 9, 11, 12, 14, 5]

  init(json: Bool) { self.json = json }

  mutating func show(_ records: [HomeRecord]) throws {
    for record in records {
      summary.count(record)
      if record.isRefusal { sawRefusal = true }
      if case .dropped(let reason) = record.event, HomeRecord.unlisted.contains(reason) { continue }
      if json { try buffer.line(JSONOutput.line(HomeRecordJSON(record))) } else { try row(record) }
    }
    if !records.isEmpty { try buffer.flush() }
  }

  private mutating func row(_ record: HomeRecord) throws {
    if start == nil {
      start = record.time
      try line(["time", "frame", "what", "from", "to", "class", "bytes", "detail"])
    }
    let elapsed = Double(record.time.microseconds - (start ?? record.time).microseconds) / 1e6
    try line(
      [String(format: "%.3f", elapsed), record.frame.map(String.init) ?? "-"] + record.cells)
  }

  private mutating func line(_ cells: [String]) throws {
    let text = zip(cells, Self.widths + [0]).enumerated().map { index, cell in
      let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      // Numbers stand to the right.
      return index < 2 || index == 6 ? padding + cell.0 : cell.0 + padding
    }.joined(separator: " ")
    try buffer.line(text)
  }

  mutating func flush() throws { try buffer.flush() }

  /// What remains, and the summary.
  mutating func finish(_ home: Home) throws {
    try show(home.takeRecords())
    summary.frames = frames
    summary.framesSent = sent
    summary.waiting = try home.waiting()
    summary.inbox = try home.embedded?.owner?.inboxContents().map { DeliveredMessage($0).line }
    if json {
      try buffer.line(JSONOutput.line(["summary": summary]))
    } else {
      try buffer.line("")
      try buffer.line(summary.text)
    }
    try buffer.flush()
  }
}
