#include "scalers/bundle/all_scalers.h"

int main(int argc, char** argv) { return neap::sdk::Serve(neap::scalers::MakeAll(), argc, argv); }
