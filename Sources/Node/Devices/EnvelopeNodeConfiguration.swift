import Envelope
import Wire

/// Who a node is that signs for itself, and how it behaves.
public struct EnvelopeNodeConfiguration: Sendable {
  public var identity: Identity
  /// What its traffic needs: signed only, or sealed as well.
  public var `class`: EnvelopeClass
  /// Who receives its reports.
  public var readers: [Member]
  /// Whom it obeys.
  public var commanders: [Member]
  /// Seconds in which its envelopes are to be delivered.
  public var lifetime: UInt64 = 86_400
  /// Whether it knows the time; else its envelopes do not say when they were issued.
  public var hasClock = true
  /// Whether it obeys a command only after its commander has sent back a challenge. Unless set, a node without a clock does:
  /// it cannot tell a new command from one that was held back. Commands that do not say when they were issued are always
  /// challenged.
  public var demandsEcho: Bool {
    get { echo ?? !hasClock }
    set { echo = newValue }
  }
  private var echo: Bool?
  /// Between questions for held messages.
  public var pollInterval: Duration = .seconds(600)
  /// Its name in the resource directory, if it takes envelopes itself, at `/e`.
  public var endpointName: String?
  /// The gateway's address that it speaks to.
  public var destination = NodeStack.Destination.linkLocal
  /// Reports that wait at most.
  public var maximumReports = 8
  /// Receipts that wait at most; with more, nothing new is obeyed.
  public var maximumOwed = 8
  /// Commands that wait for their echo at most; a further one takes the place of the oldest.
  public var maximumChallenges = 4
  /// Seconds after which an echo comes too late, if the command's lifetime is not shorter; they count anew after a reset.
  public var challengeLifetime: UInt64 = 86_400
  /// The wait before it asks for an echo; it doubles up to ``pollInterval``.
  public var echoPollInterval: Duration = .seconds(2)
  /// Octets of an envelope that it takes.
  public var maximumEnvelope = 2_048
  /// Whose peer records it obeys when they come; `nil` for nobody's.
  public var oracle: PublicIdentity?
  /// The record that readers and commanders are from.
  public var version: GroupEpoch?
  /// Octets of the envelope of a peer record.
  public var maximumRecord = 8_192
  /// The first wait before something is sent again that was not answered; it doubles from there.
  public var firstRetry: Duration = .seconds(10)
  /// The longest such wait.
  public var longestRetry: Duration = .seconds(300)

  public init(identity: Identity, class: EnvelopeClass, readers: [Member], commanders: [Member]) {
    self.identity = identity
    self.class = `class`
    self.readers = readers
    self.commanders = commanders
  }
}
