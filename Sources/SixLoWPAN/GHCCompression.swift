import IPv6
import Wire

extension GHC {
  /// Longer inputs are not compressed: they would not fit in a frame, and the search takes quadratic time.
  static let longestCompressed = 640

  /// The shortest bytecode for `bytes`, without a stop code; longer than `bytes` if there is none that is shorter.
  ///
  /// Works backwards: for every position it takes the cheapest way to the end, over all literal runs, zero runs and
  /// references. Of the references to one place it weighs the longest, and the longest for each smaller number
  /// of extension bytes; one in between costs the same and covers less.
  static func compress(_ bytes: RawSpan, source: IPv6Address, destination: IPv6Address) -> [UInt8] {
    let count = bytes.byteCount
    guard count > 0, count <= longestCompressed else {
      return [UInt8](repeating: 0, count: count + 1)
    }
    let buffer = dictionary(source: source, destination: destination) + bytes.array()
    let prefix = buffer.count - count
    var steps = [Step](repeating: Step(), count: count + 1)
    steps[count].cost = 0
    // matches[j]: how many bytes from j on equal those from the current position on.
    var matches = [Int](repeating: 0, count: buffer.count + 1)
    var zeros = 0
    for position in stride(from: count - 1, through: 0, by: -1) {
      let here = prefix + position
      var best = Step()
      func consider(_ kind: Step.Kind, _ length: Int, _ distance: Int, _ bytes: Int) {
        let cost = bytes + steps[position + length].cost
        if cost < best.cost { best = Step(kind: kind, length: length, distance: distance, cost: cost) }
      }
      for length in 1...min(95, count - position) { consider(.literal, length, 0, 1 + length) }
      zeros = buffer[here] == 0 ? zeros + 1 : 0
      if zeros >= 2 {
        for length in 2...min(zeros, 17) { consider(.zeros, length, 0, 1) }
      }
      for start in 0..<here {
        // The row of the position before, shifted by one: each cell is read before it is overwritten.
        matches[start] = buffer[start] == buffer[here] ? matches[start + 1] + 1 : 0
        let longest = min(matches[start], here - start)
        guard longest >= 2 else { continue }
        let distance = here - start
        var length = longest
        while length >= 2 {
          let extensions = Step.extensions(length, distance)
          consider(.reference, length, distance, 1 + extensions)
          // The longest that needs one extension byte less for its count.
          guard length > 9 else { break }
          length = (length - 2) / 8 * 8 + 1
        }
      }
      steps[position] = best
    }
    return write(steps, bytes)
  }

  private static func write(_ steps: [Step], _ bytes: RawSpan) -> [UInt8] {
    var output: [UInt8] = []
    var position = 0
    while position < bytes.byteCount {
      let step = steps[position]
      switch step.kind {
      case .literal:
        output.append(UInt8(step.length))
        for index in position..<position + step.length { output.append(bytes[byteAt: index]) }
      case .zeros: output.append(0x80 | UInt8(step.length - 2))
      case .reference:
        var extraCount = max(0, (step.length - 2) / 8)
        var extraDistance = max(0, (step.distance - step.length) / 8)
        let last = UInt8((step.length - 2) % 8) << 3 | UInt8((step.distance - step.length) % 8)
        while extraCount > 0 || extraDistance > 0 {
          let distance = min(extraDistance, 15)
          output.append(0xa0 | (extraCount > 0 ? 16 : 0) | UInt8(distance))
          extraCount = max(0, extraCount - 1)
          extraDistance -= distance
        }
        output.append(0xc0 | last)
      }
      position += step.length
    }
    return output
  }

  /// How the bytes from one position on begin.
  private struct Step {
    enum Kind { case literal, zeros, reference }

    var kind = Kind.literal
    var length = 0
    /// From the position back to the first byte that is copied.
    var distance = 0
    /// Bytes from here to the end. The start is out of reach of any sum.
    var cost = 1 << 30

    /// Bytes `101nssss` before a reference: each adds 8 to the count at most, and 120 to the distance.
    static func extensions(_ length: Int, _ distance: Int) -> Int {
      max((length - 2) / 8, ((distance - length) / 8 + 14) / 15)
    }
  }
}
