/// Columns of text, aligned: what commands print on a terminal.
struct TextTable {
  var header: [String]
  /// Columns whose cells stand to the right.
  var rightAligned: Set<Int> = []
  private(set) var rows: [[String]] = []

  init(_ header: [String], rightAligned: Set<Int> = []) {
    self.header = header
    self.rightAligned = rightAligned
  }

  mutating func add(_ row: [String]) { rows.append(row) }

  /// The table; the last column is not padded.
  var text: String {
    var widths = header.map(\.count)
    for row in rows {
      for (index, cell) in row.enumerated() where index < widths.count {
        widths[index] = max(widths[index], cell.count)
      }
    }
    return ([header] + rows).map { row in
      row.enumerated().map { index, cell in
        let padding = String(repeating: " ", count: max(0, widths[index] - cell.count))
        if rightAligned.contains(index) { return padding + cell }
        return index == row.count - 1 ? cell : cell + padding
      }.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}
