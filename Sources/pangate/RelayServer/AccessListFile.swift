import Relay
import Wire

extension RelayCore {
  /// Obeys the access list of a file. One that is older than what the store has obeyed is passed over. Throws ``Failure``.
  mutating func obey(accessListFile file: String, now: Instant) throws {
    switch accept(accessList: try InputFile.bytes(file), now: now) {
    case .accepted, .alreadyInCustody, .refused(.peerRecordEpochStale, _): break
    case .refused(let reason, _):
      throw Failure.cannotStart("\(file): the access list is refused: \(reason.name)")
    }
  }
}
