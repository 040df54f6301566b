/// A CoAP message inside an envelope.
public typealias EncapsulatedMessage = CoAPContent
