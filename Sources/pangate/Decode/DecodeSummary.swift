import Wire

/// What `decode` says at the end of a file.
struct DecodeSummary {
  var file: String
  var frames = 0
  var packets = 0
  var drops = DropCounters()

  /// Reasons that are no errors of the input: it holds other traffic, or more of the same than needed.
  private static let harmless: Set<DropReason> = [
    .captureNotIEEE802154, .lowpanNotALowpanFrame, .fragmentDuplicate, .macDuplicate,
  ]

  /// Whether something in the input could not be decoded that should be.
  var hasErrors: Bool { drops.nonZero.contains { !Self.harmless.contains($0.reason) } }

  var text: String {
    var lines = ["\(file): \(frames) frames, \(packets) IPv6 packets, \(drops.total) dropped"]
    let width = drops.nonZero.map { "\($0.count)".count }.max() ?? 0
    for (reason, count) in drops.nonZero {
      let number = "\(count)"
      lines.append("  " + String(repeating: " ", count: width - number.count) + number + "  " + reason.name)
    }
    return lines.joined(separator: "\n")
  }
}
