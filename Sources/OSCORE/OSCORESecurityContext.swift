import COSE
public import Crypto

/// A security context (RFC 8613, 3.1): what two endpoints share to protect their requests and responses.
///
/// AEAD is AES-CCM-16-64-128 and HKDF is with SHA-256, the algorithms that all must have. One context serves an endpoint
/// as client and as server. Master Secret and Master Salt are not kept. A value of this type is the only owner of its
/// sequence numbers: who protects with two copies uses a nonce twice, so keep one, in an ``OSCOREContextTable`` for
/// example, and store ``durableState`` when ``reservation`` says so.
public struct OSCORESecurityContext: Sendable {
  /// What an endpoint may choose for itself.
  public struct Configuration: Hashable, Sendable {
    /// How many Partial IVs of requests the Replay Window tells apart; held to 1...128.
    public var replayWindowSize: Int
    /// How many sequence numbers are reserved by one write to durable storage: K of RFC 8613, B.1.1; at least 1.
    public var reservationStep: UInt32

    public init(replayWindowSize: Int = 32, reservationStep: UInt32 = 128) {
      self.replayWindowSize = replayWindowSize
      self.reservationStep = max(1, reservationStep)
    }
  }

  // Common Context.
  let commonIV: OSCORENonce
  /// The ID Context; `nil` if there is none.
  public let idContext: [UInt8]?

  // Sender Context.
  /// Identifies this endpoint: the kid of its requests.
  public let senderID: OSCOREIdentifier
  let senderKey: SymmetricKey
  var sequence: SenderSequence

  // Recipient Context.
  /// Identifies the other endpoint.
  public let recipientID: OSCOREIdentifier
  let recipientKey: SymmetricKey
  var window: PartialIVWindow
  /// The Echo value that a request must bring before the window counts; `nil` if the window is valid.
  var challenge: UInt64?

  init(
    keys: OSCOREKeys, sequence: SenderSequence, window: PartialIVWindow, challenge: UInt64?
  ) {
    commonIV = keys.commonIV
    idContext = keys.idContext
    senderID = keys.senderID
    senderKey = keys.senderKey
    recipientID = keys.recipientID
    recipientKey = keys.recipientKey
    self.sequence = sequence
    self.window = window
    self.challenge = challenge
  }

  /// Derives a new context (RFC 8613, 3.2). Its sequence numbers start at 0 and its Replay Window is empty, so this is
  /// for keys that were never used: after a restart, use ``init(restoring:challenge:configuration:)``.
  ///
  /// Throws ``DropReason/oscoreParametersInvalid`` if both identifiers are the same.
  public init(
    masterSecret: SymmetricKey, masterSalt: [UInt8] = [], senderID: OSCOREIdentifier,
    recipientID: OSCOREIdentifier, idContext: [UInt8]? = nil, configuration: Configuration = Configuration()
  ) throws(OSCOREError) {
    let keys = try OSCOREKeys(
      masterSecret: masterSecret, masterSalt: masterSalt, senderID: senderID, recipientID: recipientID,
      idContext: idContext)
    self.init(
      keys: keys, sequence: SenderSequence(from: 0, step: configuration.reservationStep),
      window: PartialIVWindow(size: configuration.replayWindowSize), challenge: nil)
  }

  /// Continues with a context whose process ended (RFC 8613, 7.5 and B.1): sequence numbers start at the stored bound,
  /// and no request is taken before one has brought the Echo value `challenge`, 8 bytes that the caller draws at random
  /// for this one restart.
  public init(
    restoring state: OSCOREDurableState, challenge: UInt64, configuration: Configuration = Configuration()
  ) {
    self.init(
      keys: state.keys,
      sequence: SenderSequence(from: state.sequenceBound, step: configuration.reservationStep),
      window: PartialIVWindow(size: configuration.replayWindowSize), challenge: challenge)
  }

  /// The exchange of a request that this endpoint has sent before, by its Partial IV: for who kept only that over a
  /// restart. Whoever has taken the response forgets the number: a response is taken once.
  public func exchange(ofRequest partialIV: UInt64, isObservation: Bool = false) -> OSCOREExchange {
    OSCOREExchange(
      kid: senderID, partialIV: partialIV, nonce: nonce(senderID, partialIV), isObservation: isObservation)
  }

  /// Whether requests are taken: false after a restart until the other endpoint has answered the Echo challenge.
  public var isReplayWindowValid: Bool { challenge == nil }

  /// The Sender Sequence Number: the Partial IV that this endpoint uses next.
  public var nextSequenceNumber: UInt64 { sequence.next }

  /// What must be in durable storage before a message protected so far leaves; `nil` if nothing.
  ///
  /// Store ``durableState``, then call ``persisted(_:)``, then send.
  public var reservation: OSCOREReservation? { sequence.reservation }

  /// Says that ``durableState`` with `reservation` is in durable storage.
  public mutating func persisted(_ reservation: OSCOREReservation) { sequence.persisted(reservation) }

  /// What a restart needs. It holds keys.
  public var durableState: OSCOREDurableState {
    OSCOREDurableState(keys: keys, sequenceBound: sequence.reserved)
  }

  private var keys: OSCOREKeys {
    OSCOREKeys(
      senderID: senderID, recipientID: recipientID, idContext: idContext, senderKey: senderKey,
      recipientKey: recipientKey, commonIV: commonIV)
  }
}

/// Says which context it is and how far it is; never a key.
extension OSCORESecurityContext: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String {
    "OSCORE context, sender \(senderID), recipient \(recipientID), sequence number \(nextSequenceNumber)"
      + (isReplayWindowValid ? "" : ", awaiting Echo")
  }

  public var debugDescription: String { description }

  public var customMirror: Mirror { Mirror(self, children: []) }
}
