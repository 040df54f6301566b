import Wire

extension AttackMatrix {
  /// The lines between which ``markdown`` stands in Docs/THREATS.md.
  public static let markers = (begin: "<!-- matrix: begin -->", end: "<!-- matrix: end -->")

  /// The table as Markdown: one for each direction and path, a row for each attack, a column for each class.
  public static var markdown: String {
    var lines: [String] = []
    for direction in Direction.allCases {
      for path in Path.allCases {
        let title = direction == .up ? "Up: node to reader" : "Down: commander to node"
        lines += ["", "#### \(title), \(path.rawValue)", ""]
        let route = direction.hops.map(\.rawValue).joined(separator: ", ")
        lines += ["Hops: \(route).", ""]
        lines.append("| attack | " + Protection.allCases.map(\.rawValue).joined(separator: " | ") + " |")
        lines.append("|---" + String(repeating: "|---", count: Protection.allCases.count) + "|")
        for attack in Attack.allCases {
          let row = Protection.allCases.map { text(expectation(of: Channel($0, direction, path), attack), direction) }

          lines.append("| \(attack.rawValue) | " + row.joined(separator: " | ") + " |")
        }
      }
    }
    return lines.dropFirst().joined(separator: "\n") + "\n"
  }

  /// `document` with the block between ``markers`` replaced; `nil` if they are not there.
  public static func update(_ document: String) -> String? {
    let lines = document.split(separator: "\n", omittingEmptySubsequences: false)
    guard let begin = lines.firstIndex(of: markers.begin[...]), let end = lines.firstIndex(of: markers.end[...]),
      begin < end
    else { return nil }
    return (lines[...begin].map(String.init) + [markdown] + lines[end...].map(String.init)).joined(separator: "\n")
  }

  private static func text(_ expectation: Expectation, _ direction: Direction) -> String {
    switch expectation {
    case .notApplicable(let reason): return "n/a: \(reason)"
    case .executed(let verdicts, let gain):
      var parts: [String] = []
      if let first = verdicts.first, Set(verdicts).count == 1, let words = first.words {
        parts.append("all \(words.plural)")
      } else {
        for (hop, verdict) in zip(direction.hops, verdicts) {
          if let words = verdict.words { parts.append("\(hop.rawValue) \(words.singular)") }
        }
      }
      return parts.joined(separator: ", ") + (gain == nothing ? "" : "; gains: \(gain)")
    }
  }
}

extension AttackMatrix.Verdict {
  /// `nil` if the hop has nothing to say.
  fileprivate var words: (singular: String, plural: String)? {
    switch self {
    case .accepts: ("takes it", "take it")
    case .repeats: ("has it already", "have it already")
    case .refuses(let reason): ("refuses: `\(reason.name)`", "refuse: `\(reason.name)`")
    case .holds: ("keeps it until there are keys", "keep it until there are keys")
    case .unreached: nil
    }
  }
}
