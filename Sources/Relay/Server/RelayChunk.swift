import Synchronization

/// A chunk of a stream on its way: an envelope of class 3 that nobody stores.
struct RelayChunk: Sendable {
  var bytes: [UInt8]
  /// `nil` for a chunk that wants no answer.
  var credit: RelayChunkCredit?
}

/// The answer to a chunk that asks for one, which lets its sender go on: given once, by the first recipient that has it,
/// or when none of them will.
final class RelayChunkCredit: Sendable {
  private let answer: @Sendable (Bool) -> Void
  private let left: Atomic<Int>
  private let isGiven = Atomic<Bool>(false)

  /// `answer` is called once, on any thread: whether a recipient had the chunk.
  init(recipients: Int, answer: @escaping @Sendable (Bool) -> Void) {
    self.answer = answer
    left = Atomic(recipients)
  }

  /// A recipient has it.
  func taken() { give(true) }

  /// A recipient will not have it.
  func failed() {
    if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { give(false) }
  }

  private func give(_ isTaken: Bool) {
    if isGiven.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged {
      answer(isTaken)
    }
  }
}
