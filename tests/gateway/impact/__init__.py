"""What a proposal says beyond its diff. Pure: small manifests in, sentences out."""
