import ArgumentParser
import Envelope
import Foundation
import Oracle
import Queue
import Relay
import Wire

/// The state directory of an oracle: its identity, its record, and the numbers of what it signed.
final class OracleState {
  private static let recordKey = "oracle.record"
  private static let publishedKey = "oracle.published"

  let folder: String
  let store: SQLiteStore
  var oracle: Oracle
  private var sequence: SequenceReserve<SQLiteStore>

  static func identityFile(_ folder: String) -> String { folder + "/oracle.pem" }

  /// Opens one that was made. Throws ``Failure``.
  init(_ folder: String) throws {
    self.folder = folder
    let identity = try IdentityFiles.identity(Self.identityFile(folder))
    do {
      store = try SQLiteStore(directory: folder)
      guard let bytes = try store.value(Self.recordKey) else {
        throw Failure.cannotStart("\(folder): holds no group: make one with 'pangate oracle init'")
      }
      oracle = try Oracle(identity, record: try PeerRecord(parsing: bytes))
    } catch let error as Failure { throw error } catch { throw Failure.cannotStart("\(folder): \(error)") }
    sequence = SequenceReserve("oracle.sequence", in: store, step: 1)
  }

  /// Makes one.
  static func create(_ folder: String, _ oracle: Oracle) throws {
    do {
      let store = try SQLiteStore(directory: folder)
      try store.setValue(recordKey, to: try oracle.record.cbor())
      store.close()
    } catch { throw Failure.cannotStart("\(folder): \(error)") }
  }

  /// Random bytes that are fit for keys.
  static func random(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255) } }

  static var now: UInt64 { UInt64(max(0, Date().timeIntervalSince1970)) }

  /// Changes the group; on disk when this returns.
  func change(_ body: (inout Oracle) throws(OracleError) -> Void) throws {
    do throws(OracleError) { try body(&oracle) } catch { throw Failure.usage("\(error)") }
    do { try store.setValue(Self.recordKey, to: try oracle.record.cbor()) } catch {
      throw Failure.cannotStart("\(folder): \(error)")
    }
  }

  /// What `member` is told: relays the access list, others the record.
  func signed(for member: Member) throws -> SignedEnvelope {
    var random = SystemRandomNumberGenerator()
    do {
      let number = try sequence.next()
      return member.roles.contains(.relay)
        ? try oracle.accessListEnvelope(for: member, sequence: number, now: Self.now, using: &random)
        : try oracle.recordEnvelope(for: member, sequence: number, now: Self.now, using: &random)
    } catch { throw Failure.cannotStart("\(folder): \(error)") }
  }

  /// Which epoch was handed in last, to all relays.
  var published: UInt64 {
    get { (try? store.counter(Self.publishedKey)) ?? 0 }
    set { try? store.setCounter(Self.publishedKey, to: newValue) }
  }

  func close() { store.close() }
}

/// Where the oracle keeps its group.
struct OracleOptions: ParsableArguments {
  @Option(help: "The oracle's state directory.") var state = "oracle"
}

/// How what was changed gets to those who obey it.
struct PublishOptions: ParsableArguments {
  @Flag(inversion: .prefixedNo, help: "Hand the new epoch to the relays at once, for themselves and for all members.")
  var publish = true
  @Option(help: "Give up a relay after so many seconds.") var timeout = 30
  @Option(help: "By what a relay's TLS certificate is believed: identity, system, or a file of authorities.")
  var trust = "identity"
  @Option(
    help: "Write what is signed to files in this directory as well: peer-record-NAME.cose, access-list-NAME.cose.")
  var output: String?

  /// Whoever makes a change wants it known; a group without a relay has nobody to tell.
  func run(_ state: OracleState, json: Bool) async throws {
    if let output { try write(state, output) }
    guard publish else { return }
    guard !state.oracle.record.relays.isEmpty else {
      note("no relay has a URL yet: nothing was handed in")
      return
    }
    try await OraclePublisher(state, trust: trust, timeout: timeout).run(json: json)
  }

  private func write(_ state: OracleState, _ folder: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for member in state.oracle.told + state.oracle.relays {
        let kind = member.roles.contains(.relay) ? "access-list" : "peer-record"
        try Data(try state.signed(for: member).bytes).write(
          to: URL(fileURLWithPath: "\(folder)/\(kind)-\(member.name).cose"), options: .atomic)
      }
    } catch let error as Failure { throw error } catch {
      throw Failure.cannotStart("\(folder): cannot be written: \(error.localizedDescription)")
    }
  }
}
