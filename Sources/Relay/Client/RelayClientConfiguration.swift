import Envelope
import Wire

/// How a client gets to its relays.
public struct RelayClientConfiguration: Sendable {
  /// One relay: where it is, and who it must prove to be.
  public struct Relay: Sendable, Hashable {
    public var url: RelayURL
    public var address: Address

    public init(url: RelayURL, address: Address) {
      self.url = url
      self.address = address
    }
  }

  /// By what the TLS certificate of a relay is believed. Who the relay is, its signed hello proves in any case.
  public enum Trust: Sendable, Hashable {
    /// It is the certificate of the relay's identity, whose SHA-256 is in the peer record.
    case identity
    /// It is for the relay's name, by an authority that the system trusts.
    case system
    /// It is for the relay's name, by an authority in this file (PEM).
    case file(String)
  }

  /// The first that works takes what is sent; all are asked for what they hold.
  public var relays: [Relay]
  public var identity: Identity
  /// The nodes whose mailboxes a gateway collects besides its own.
  public var serving: [Address]
  public var trust = Trust.identity
  /// From the first packet to a session.
  public var connectTime: Duration = .seconds(10)
  /// A relay that leaves an envelope unanswered for so long is passed over.
  public var answerTime: Duration = .seconds(10)
  /// For how long a relay that was slow or full is passed over if there is another.
  public var penalty: Duration = .seconds(30)
  /// Between attempts to connect: the first and the longest wait, each drawn between half and all of it.
  public var shortestWait: Duration = .milliseconds(500)
  public var longestWait: Duration = .seconds(60)
  /// Without a word for so long, the client asks whether the relay is there; shorter than what routers forget after.
  public var pingInterval: Duration = .seconds(60)
  public var pongTimeout: Duration = .seconds(10)
  /// Bytes of an envelope or a record that may be delivered.
  public var messageSize = 4 << 20

  public init(relays: [Relay], identity: Identity, serving: [Address] = []) {
    self.relays = relays
    self.identity = identity
    self.serving = serving
  }
}

/// What a client of relays tells whoever uses it, in order, on one thread.
public enum RelayClientEvent: Sendable {
  /// A session with a relay is open.
  case up(RelayURL)
  /// There is none any more, or not yet, and why.
  case down(RelayURL, String)
  /// A relay has decided about an envelope that was submitted.
  case answered(UInt64, RelayAnswer)
  /// How many envelopes a relay still holds for this client and the nodes it serves, those on their way included.
  case held(RelayURL, Int)
  /// A relay hands over an envelope, which it keeps until this is answered.
  case delivery(RelayDelivery)
}

/// What a relay says to an envelope.
public enum RelayAnswer: Sendable, Hashable {
  /// It has custody.
  case custody
  /// It never will; a code of CoAP, and the name of a reason if it gave one.
  case refused(code: UInt8, reason: String?)
}

/// An envelope that a relay hands over.
public struct RelayDelivery: Sendable {
  /// What the client makes of it.
  public enum Answer: Sendable, Hashable {
    /// It is durable here.
    case taken
    /// It never will be.
    case refused(DropReason)
    /// Not now.
    case later(DropReason)
  }

  public let bytes: [UInt8]
  /// Whether anybody waits for the answer; chunks of streams mostly go without.
  public let wantsAnswer: Bool
  private let reply: @Sendable (Answer) -> Void

  init(bytes: [UInt8], wantsAnswer: Bool, reply: @escaping @Sendable (Answer) -> Void) {
    self.bytes = bytes
    self.wantsAnswer = wantsAnswer
    self.reply = reply
  }

  /// Answers, once, from any thread.
  public func answer(_ answer: Answer) { reply(answer) }
}
